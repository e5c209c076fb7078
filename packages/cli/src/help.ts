/** The end of a command's help: examples, and how to run them where `cashflow` is not on the PATH. */
export function examples(...lines: readonly string[]): string {
  return [
    '\nExamples:',
    ...lines.map((line) => `  cashflow ${line}`),
    '',
    'In a checkout: npm run -s cashflow -- …  With Compose: docker compose run --rm migrate cashflow …',
  ].join('\n')
}
