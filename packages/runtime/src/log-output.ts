import { Writable } from 'node:stream'
import { errorMessage } from './redact.ts'

/** Characters that wait for a slow reader. Lines beyond them are lost, before the process runs out of memory. */
const UNREAD_MAX = 8 * 1_024 * 1_024
const RETRY_MS = 1_000
const REMINDER_MS = 60_000

export interface LogOutputOptions {
  /** Told that a line could not be written, at most once a minute. */
  onBroken: (reason: string) => void
  /** Told that lines can be written again, how many were lost since the start, and the last reason. */
  onRecovered: (linesLost: number, reason: string) => void
}

/**
 * The output of log lines. A full disk, or a reader that is gone or does not read, ends nothing: it never fails, never
 * waits, and holds a bounded number of lines. A stream that fails is tried once a second, with the next line.
 */
export function createLogOutput(stream: Writable, { onBroken, onRecovered }: LogOutputOptions): Writable {
  let state: 'well' | 'broken' | 'unread' = 'well'
  let reason = ''
  let linesLost = 0
  let triedAt = Number.NEGATIVE_INFINITY
  let saidAt = Number.NEGATIVE_INFINITY

  function fail(as: 'broken' | 'unread', why: string): void {
    state = as
    reason = why
    const now = performance.now()
    if (now - saidAt < REMINDER_MS) return
    saidAt = now
    onBroken(why)
  }

  function recover(): void {
    state = 'well'
    onRecovered(linesLost, reason)
  }

  // Called for each line. The stream reports an error once more, as an event.
  function onWritten(error?: Error | null): void {
    if (error) {
      linesLost += 1
      triedAt = performance.now()
      fail('broken', errorMessage(error))
    } else if (state === 'broken') recover()
  }

  function isAccepting(): boolean {
    if (state === 'unread' && stream.writableLength === 0) recover()
    if (state === 'well' && stream.writableLength > UNREAD_MAX) fail('unread', 'its reader does not keep up')
    return state === 'well' || (state === 'broken' && performance.now() - triedAt >= RETRY_MS)
  }

  function write(line: string): void {
    if (!isAccepting()) linesLost += 1
    else if (state === 'well') stream.write(line, onWritten)
    else {
      triedAt = performance.now()
      // A disk that became full may have cut a line. That line ends here.
      stream.write(`\n${line}`, onWritten)
    }
  }

  outlive(stream)
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      write(line)
      done()
    },
  })
}

/** Lets no error of standard output or standard error end this process: what is written there is not its purpose. */
export function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) outlive(stream)
}

/** Without a listener an error would end the process. One is enough: Node warns of more than ten. */
function outlive(stream: Writable): void {
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore)
}

function ignore(): void {}
