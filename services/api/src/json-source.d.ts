/** "JSON.parse source text access" (ECMAScript, in V8 and Node 24), which TypeScript's library does not describe yet. */
interface JSON {
  /** `source` is the text of a primitive value as it was written. */
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): unknown
  /** A value that is written as exactly this JSON text. */
  rawJSON(text: string): object
}
