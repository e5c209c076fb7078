import { styleText } from 'node:util'

export type Screen = ReturnType<typeof createScreen>

type Output = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns' | 'rows'>

const WIDTH_MIN = 80
/** Rows of a terminal that a live block leaves free. */
const ROWS_FREE = 2

/** Lines of at most as many characters as the narrowest terminal has. */
function wrapped(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length >= WIDTH_MIN) lines.push(word)
    else lines.splice(-1, 1, `${last} ${word}`)
  }
  return lines
}

/** The output of the demo: lines, and on a terminal a block of lines that is drawn again in place. */
export function createScreen(output: Output) {
  /** Number of lines of the block that is drawn last. */
  let drawn = 0
  let summary = ''
  const line = (text = '') => {
    drawn = 0
    output.write(`${text}\n`)
  }
  return {
    line,
    /** A line about the system itself. */
    note: (text: string) => line(styleText('gray', `· ${text}`)),
    title: (text: string) => line(`\n${styleText('bold', text)}`),
    paragraph: (text: string) => line(`\n${wrapped(text).join('\n')}\n`),
    /**
     * Draws the rows in place of those before. Where they have no room, and where the output is no terminal, each new
     * summary is printed instead.
     */
    live(rows: readonly string[], newSummary: string) {
      const hasRoom = (output.columns ?? 0) >= WIDTH_MIN && (output.rows ?? 0) >= rows.length + ROWS_FREE
      if (output.isTTY && hasRoom) {
        output.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}\x1b[0J${rows.map((row) => `${row}\n`).join('')}`)
        drawn = rows.length
      } else if (newSummary !== summary) line(newSummary)
      summary = newSummary
    },
  }
}
