import { Writable } from 'node:stream'
import { redactedErrorMessage } from './redact.ts'

/** Characters that may wait for a slow reader. Lines beyond this limit are lost, or the process would run out of memory. */
const UNREAD_MAX = 8 * 1_024 * 1_024
const RETRY_MS = 1_000
const REMINDER_MS = 60_000

export interface LogOutputOptions {
  /** Called when a line could not be written, at most once a minute. */
  onBroken: (reason: string) => void
  /** Called when lines can be written again, with the number of lines lost since the start, and the last reason. */
  onRecovered: (linesLost: number, reason: string) => void
}

/**
 * The output of log lines. It never fails, never waits, and holds a bounded number of lines, so that neither a full disk
 * nor a reader that has ended or is slow stops the process. A stream that fails is tried once a second, with the next line.
 */
export function createLogOutput(stream: Writable, { onBroken, onRecovered }: LogOutputOptions): Writable {
  let state: 'working' | 'broken' | 'unread' = 'working'
  let reason = ''
  let linesLost = 0
  let triedAt = Number.NEGATIVE_INFINITY
  let reportedAt = Number.NEGATIVE_INFINITY

  function fail(as: 'broken' | 'unread', why: string): void {
    state = as
    reason = why
    const now = performance.now()
    if (now - reportedAt < REMINDER_MS) return
    reportedAt = now
    onBroken(why)
  }

  function recover(): void {
    state = 'working'
    onRecovered(linesLost, reason)
  }

  // Called for each line. The stream reports an error twice: here and as an event.
  function onWritten(error?: Error | null): void {
    if (error) {
      linesLost += 1
      triedAt = performance.now()
      fail('broken', redactedErrorMessage(error))
    } else if (state === 'broken') recover()
  }

  function isAccepting(): boolean {
    if (state === 'unread' && stream.writableLength === 0) recover()
    if (state === 'working' && stream.writableLength > UNREAD_MAX) fail('unread', 'its reader does not keep up')
    return state === 'working' || (state === 'broken' && performance.now() - triedAt >= RETRY_MS)
  }

  function write(line: string): void {
    if (!isAccepting()) linesLost += 1
    else if (state === 'working') stream.write(line, onWritten)
    else {
      triedAt = performance.now()
      // A disk that became full may have cut the last line, so a new line begins.
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

/** Prevents errors of standard output and standard error from ending this process: its work goes on without a log. */
export function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) outlive(stream)
}

/** Without a listener an error would end the process. One listener is enough, and Node warns of more than ten. */
function outlive(stream: Writable): void {
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore)
}

function ignore(): void {}
