/** What a request's handlers know of it together. */
declare namespace Express {
  interface Locals {
    requestId: string
    /** The payment that the answer is about. */
    paymentId?: string
  }
}
