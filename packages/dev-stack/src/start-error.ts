/** Something that the user can put right: shown as its message, without a stack trace. */
export class StartError extends Error {
  readonly code: string = 'stack_not_started'
}

/** Somebody else listens where a server was to listen. */
export class PortTakenError extends StartError {
  override readonly code = 'port_taken'

  constructor(server: string, ports: readonly number[]) {
    super(`${server} did not start: port ${ports.join(' and ')} taken`)
  }
}
