/** Writes a log line such as the services write: a process counts as started once it has logged `ready`. */
export function log(message: string): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level: 'info', message })}\n`)
}
