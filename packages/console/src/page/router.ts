import { signal } from '@preact/signals'

export interface Route {
  readonly path: string
  readonly query: URLSearchParams
}

const current = (): Route => ({ path: location.pathname, query: new URLSearchParams(location.search) })

export const route = signal<Route>(current())

window.addEventListener('popstate', () => {
  route.value = current()
})

/** Shows another view. A new path moves the focus to its beginning, as a page load would do. */
export function navigate(href: string): void {
  const isOther = new URL(href, location.href).pathname !== location.pathname
  history.pushState(null, '', href)
  route.value = current()
  if (!isOther) return
  window.scrollTo(0, 0)
  document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
}

/** Changes parameters of the view's address. A value of null removes one. The page of a list starts again. */
export function setQuery(changes: Readonly<Record<string, string | null>>): void {
  const query = new URLSearchParams(location.search)
  query.delete('after')
  query.delete('before')
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value)
    else query.delete(name)
  }
  const text = query.toString()
  navigate(location.pathname + (text === '' ? '' : `?${text}`))
}
