import { effect, signal } from '@preact/signals'
import type { Me } from '../answers.ts'
import { ApiError, get, post, whenLoggedOut } from './api.ts'

/** The operator. Undefined until the server has answered, null without a login. */
export const me = signal<Me | null | undefined>(undefined)
/** Why the last login failed, or why the server could not say who is logged in. */
export const sessionError = signal<string | null>(null)

export const mayOperate = () => me.value?.role === 'operate'

whenLoggedOut(() => {
  me.value = null
})

/** Takes the token out of the address's fragment and removes it from the address bar. */
export function takeToken(): string | undefined {
  const found = /^#token=(.+)$/.exec(location.hash)?.[1]
  if (found === undefined) return undefined
  history.replaceState(null, '', location.pathname + location.search)
  try {
    return decodeURIComponent(found)
  } catch {
    return found // The server refuses it, and says so.
  }
}

/** Logs in with the token, if there is one, and asks who is logged in. */
export async function startSession(token: string | undefined): Promise<void> {
  sessionError.value = null
  try {
    if (token !== undefined) await post('/api/login', { token })
  } catch (error) {
    // An earlier login may still hold.
    sessionError.value = messageOf(error)
  }
  try {
    me.value = await get<Me>('/api/me')
    sessionError.value = null
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) sessionError.value = messageOf(error)
  }
}

/** Finds out whether the login has ended. */
export async function checkLogin(): Promise<void> {
  await get<Me>('/api/me').catch(() => {}) // Without a login, the listener above is called. All else is found elsewhere.
}

// A view that only listens asks for nothing, so it would not notice the end of the login.
effect(() => {
  if (!me.value) return
  const timer = setTimeout(checkLogin, Math.max(0, Date.parse(me.value.expires_at) - Date.now()))
  return () => clearTimeout(timer)
})

export async function logOut(): Promise<void> {
  await post('/api/logout', {}).catch(() => {})
  me.value = null
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
