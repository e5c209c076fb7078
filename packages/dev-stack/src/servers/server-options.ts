export interface ServerOptions {
  /** Folder for data, configuration and log. Root's PostgreSQL has a folder of its own under /var/tmp instead. */
  dir: string
  /** Called before each step that takes time. */
  log?: (line: string) => void
  /** Called with each process in the tick in which it starts, so that a later run can find it. */
  onSpawn?: (pid: number, role: 'postgres' | 'rabbitmq' | 'epmd') => void
  /** Lets the server run on when this process ends: the caller stops it later. Default: false. */
  outlive?: boolean
  /** Ends the attempt to start. */
  signal?: AbortSignal
}
