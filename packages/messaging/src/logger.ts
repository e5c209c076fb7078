/** The logger that this package needs. Facts go into fields, snake_case. */
export type Logger = Record<
  'debug' | 'info' | 'warn' | 'error',
  (message: string, fields?: Readonly<Record<string, unknown>>) => void
>
