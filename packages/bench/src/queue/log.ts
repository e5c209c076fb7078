/** Writes a log line as the services do. The benchmark waits for `ready`. */
export function log(message: string): void {
  process.stdout.write(`${JSON.stringify({ message })}\n`)
}
