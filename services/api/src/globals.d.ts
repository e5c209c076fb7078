/// <reference types="zod-openapi" />

/** "JSON.parse source text access" of ECMAScript. Node 24 has it, TypeScript's library does not describe it yet. */
interface JSON {
  /** The reviver's `source` is the text of a primitive value. */
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): unknown
}

declare namespace Express {
  /** Facts that a request's handlers share. */
  interface Locals {
    requestId: string
    /** The place of the request in its trace (W3C Trace Context). Undefined if it has none. */
    traceparent?: string | undefined
    /** The client's IPv4 address, or the network /64 of its IPv6 address. */
    client: string
    /** The id of the API key that the request was authenticated with. */
    keyId?: string
    /** The merchant whose payments the request may see. */
    merchantId: string
    /** The id of the request's API key. Undefined without authentication. */
    keyId?: string
    /**
     * Rejects if the request's key is not in force any more. To be awaited immediately before what the request does, because
     * a body or a queue may take seconds. While the look-up that admitted the request is the latest one, it costs nothing.
     *
     * @throws Problem, or an error of a look-up
     */
    assertKey(): Promise<void>
    /** What the request's key allows. */
    scopes: readonly string[]
    /** Lines that the answer has in place of SECURITY_HEADERS. */
    securityHeaders?: string
    /** The id of the payment in the answer. */
    paymentId?: string
  }
}
