import { computed, effect, signal } from '@preact/signals'
import type { Overview, PaymentsAnswer } from '../answers.ts'
import { setClock } from './clock.ts'
import { isFiltered } from './payments/filter-names.ts'
import { route } from './router.ts'
import { checkLogin, me } from './session.ts'

export const overview = signal<Overview | null>(null)
export const livePayments = signal<PaymentsAnswer | null>(null)
/** Since when nothing came from the server, in milliseconds of the browser's clock. Null while events come. */
export const oldSince = signal<number | null>(null)
/** Why the server could not look at PostgreSQL. Null if it could, or does not answer itself. */
export const unavailable = signal<string | null>(null)

/** Time without an event after which all that is shown is old, in milliseconds. The server sends one a second. */
const SILENT_MS = 5_000
const RETRY_MS = 2_000

const isVisible = signal(document.visibilityState === 'visible')
document.addEventListener('visibilitychange', () => {
  isVisible.value = document.visibilityState === 'visible'
})

/** The list of payments is live without filters only. */
const path = computed(() => {
  const { path: view, query } = route.value
  return view === '/payments' && !isFiltered(query) ? '/api/live?payments' : '/api/live'
})
const isLoggedIn = computed(() => Boolean(me.value))

/** Keeps one stream while the page is visible and the operator is logged in. */
export function startLive(): () => void {
  return effect(() => (isLoggedIn.value && isVisible.value ? openStream(path.value) : undefined))
}

function openStream(url: string): () => void {
  let source: EventSource
  let silence: ReturnType<typeof setTimeout>
  let retry: ReturnType<typeof setTimeout>
  let heardAt = Date.now()

  function heard(): void {
    heardAt = Date.now()
    oldSince.value = null
    unavailable.value = null
    waitForMore()
  }
  // A connection may be dead without an error, for example after the computer slept. A new one finds out.
  function waitForMore(): void {
    clearTimeout(silence)
    silence = setTimeout(() => {
      oldSince.value ??= heardAt
      unavailable.value = null
      connect()
    }, SILENT_MS)
  }
  function connect(): void {
    source?.close()
    source = new EventSource(url)
    source.addEventListener('overview', ({ data }) => {
      const answer: Overview = JSON.parse(data)
      overview.value = answer
      setClock(answer.at)
      heard()
    })
    source.addEventListener('payments', ({ data }) => {
      livePayments.value = JSON.parse(data)
      heard()
    })
    source.addEventListener('unavailable', ({ data }) => {
      oldSince.value ??= heardAt
      unavailable.value = JSON.parse(data).error
      waitForMore()
    })
    source.addEventListener('error', () => {
      oldSince.value ??= heardAt
      unavailable.value = null
      source.close()
      clearTimeout(retry)
      retry = setTimeout(reconnect, RETRY_MS)
    })
    waitForMore()
  }
  // A stream does not say why it was refused. A lost login is found by asking for it.
  function reconnect(): void {
    void checkLogin()
    connect()
  }
  connect()
  return () => {
    source.close()
    clearTimeout(silence)
    clearTimeout(retry)
  }
}
