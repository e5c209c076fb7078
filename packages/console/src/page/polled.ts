import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { get } from './api.ts'
import { messageOf } from './session.ts'

const EVERY_MS = 5_000

export interface Polled<T> {
  readonly data: T | undefined
  /** Why the last question failed. The data of an earlier answer stays. */
  readonly error: string | null
  /** True while the data is of another path than the one asked for. */
  readonly isOther: boolean
  /** Asks now, such as after an act. */
  readonly again: () => void
}

interface State<T> {
  readonly path: string | null
  readonly data: T | undefined
  readonly error: string | null
}

/** Asks for `path` every 5 seconds, or `everyMs`, while the page is visible. Null asks for nothing. */
export function usePolled<T>(path: string | null, everyMs = EVERY_MS): Polled<T> {
  const state = useSignal<State<T>>({ path: null, data: undefined, error: null })
  const asked = useSignal(0)
  const round = asked.value // Another round asks again.
  useEffect(() => {
    if (path === null) return
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const load = async () => {
      try {
        const data = await get<T>(path, stop.signal)
        if (!stop.signal.aborted) state.value = { path, data, error: null }
      } catch (error) {
        if (stop.signal.aborted) return
        const isSame = state.value.path === path
        state.value = { path, data: isSame ? state.value.data : undefined, error: messageOf(error) }
      }
      timer = setTimeout(loadIfVisible, everyMs)
    }
    const loadIfVisible = () => {
      if (document.visibilityState === 'visible') return void load()
      document.addEventListener('visibilitychange', loadIfVisible, { once: true, signal: stop.signal })
    }
    void load()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [path, round, everyMs])
  const { data, error, path: answered } = state.value
  return { data, error, isOther: answered !== path, again: () => asked.value++ }
}
