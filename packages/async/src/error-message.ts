/** The error's message, never empty. Node's error for a host with several addresses has one error for each of them. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && !error.message) return error.errors.map(errorMessage).join('; ') || error.name
  return error.message || error.name
}
