/** One kind of answer that is a problem (RFC 9457). */
export interface ProblemType {
  /** A URI. Problems without a registered type have `urn:problem-type:cashflow:` and their code. */
  readonly type: string
  readonly title: string
  readonly status: number
  /**
   * True if the same request, sent again, may be accepted. Until then it is unknown whether its payment is stored.
   * False is final: the request stored nothing, and stores nothing if it is repeated.
   */
  readonly retryable: boolean
  /** Headers that every answer with this problem has. */
  readonly headers?: readonly string[]
  /** For the API's document: the `detail` of such an answer. */
  readonly exampleDetail: string
  /** For docs/problems.md, in Markdown: when the API answers with it. */
  readonly when: string
  /** For docs/problems.md, in Markdown: what the client does. */
  readonly remedy: string
}
