/** Why no key can be made. */
export function NoPepper() {
  return (
    <p class="notice">
      <span>
        No key can be made here: the api has no <code>KEY_PEPPER</code>. Set one, and restart the api:{' '}
        <code>openssl rand -base64 32</code>
      </span>
    </p>
  )
}
