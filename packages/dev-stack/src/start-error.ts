/** Something that the user can put right: shown as its message, without a stack trace. */
export class StartError extends Error {
  readonly code = 'stack_not_started'
}
