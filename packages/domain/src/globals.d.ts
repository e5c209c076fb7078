/** "JSON.parse source text access" of ECMAScript. Node 24 has it, TypeScript's library does not describe it yet. */
interface JSON {
  /** A value that `JSON.stringify` writes as exactly this text. */
  rawJSON(text: string): object
}
