import { signal } from '@preact/signals'

/** What the last act did, until the operator puts it away. */
export const notice = signal<string | null>(null)

export function told(text: string): void {
  notice.value = text
}
