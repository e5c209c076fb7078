import type { ComponentChildren } from 'preact'
import { navigate } from '../router.ts'

interface LinkProps {
  readonly href: string
  readonly class?: string
  readonly isCurrent?: boolean
  readonly children: ComponentChildren
}

/** A link to another view. A click with a key, such as Ctrl, opens a tab as everywhere. */
export function Link({ href, isCurrent, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    navigate(href)
  }
  return (
    <a href={href} class={rest.class} aria-current={isCurrent ? 'page' : undefined} onClick={follow}>
      {children}
    </a>
  )
}
