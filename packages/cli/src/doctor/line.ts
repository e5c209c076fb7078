import { visible } from '@cashflow/runtime'
import { explainFailure } from '../run-command.ts'

/** What one check found. */
export interface Line {
  readonly check: string
  readonly ok: boolean
  /** True if all works, and an operator should act nevertheless. */
  readonly warning?: true
  /** What was found, and if it is not ok, what to do. */
  readonly detail: string
}

export const ok = (check: string, detail: string): Line => ({ check, ok: true, detail })
export const warning = (check: string, detail: string): Line => ({ check, ok: true, warning: true, detail })
export const wrong = (check: string, detail: string): Line => ({ check, ok: false, detail })

/** Runs a check. One that fails is a line of its own, and keeps no other from running. */
export async function lineOf(check: string, run: () => Promise<Line>): Promise<Line> {
  try {
    return await run()
  } catch (error) {
    return wrong(check, visible(explainFailure(error)))
  }
}
