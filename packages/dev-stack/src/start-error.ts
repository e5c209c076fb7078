/** A failure that the user can correct. It is shown as its message, without a stack trace. */
export class StartError extends Error {
  readonly code: string = 'stack_not_started'
}

/** Another process listens on a port of a server that was to start. */
export class PortTakenError extends StartError {
  override readonly code = 'port_taken'

  constructor(server: string, ports: readonly number[]) {
    super(`${server} did not start: port ${ports.join(' or ')} taken`)
  }
}
