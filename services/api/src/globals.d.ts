/** "JSON.parse source text access" of ECMAScript. Node 24 has it, TypeScript's library does not describe it yet. */
interface JSON {
  /** The reviver's `source` is the text of a primitive value. */
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): unknown
  /** A value that `JSON.stringify` writes as exactly this text. */
  rawJSON(text: string): object
}

declare namespace Express {
  /** Facts that a request's handlers share. */
  interface Locals {
    requestId: string
    /** The id of the payment in the answer. */
    paymentId?: string
  }
}
