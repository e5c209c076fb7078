/** An expected refusal: a value, not an exception. `code` never changes; `detail` is a sentence for people. */
export interface Refusal<Code extends string = string> {
  readonly code: Code
  readonly detail: string
}

export type Result<Value, Code extends string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal<Code> }

export function accept<Value>(value: Value): { ok: true; value: Value } {
  return { ok: true, value }
}

export function refuse<Code extends string>(code: Code, detail: string): { ok: false; refusal: Refusal<Code> } {
  return { ok: false, refusal: { code, detail } }
}
