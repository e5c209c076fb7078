import type { SandboxAnswer } from '../../answers.ts'

/** Does something in the sandbox, and then shows its new state, or why it was refused. */
export type Do = (change: () => Promise<unknown>) => Promise<void>

export interface SandboxProps {
  readonly sandbox: SandboxAnswer
  readonly change: Do
}
