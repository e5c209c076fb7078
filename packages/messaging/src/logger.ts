/** What this package asks of a logger. Facts go into fields, snake_case. */
export type Logger = Record<
  'debug' | 'info' | 'warn' | 'error',
  (message: string, fields?: Readonly<Record<string, unknown>>) => void
>
