/** Thrown to answer a request with a status, and with a text for the operator. */
export class SandboxRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
