# One image for each process. It contains Node and the process's bundle: docker build --target worker .

FROM node:24-bookworm-slim AS build
WORKDIR /cashflow
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches patches
RUN npm install --global "$(node -p 'require("./package.json").packageManager')" && pnpm fetch --prod
COPY . .
RUN pnpm install --offline --frozen-lockfile --prod --ignore-scripts && node deploy/bundle.ts

FROM node:24-bookworm-slim AS base
# The admin server is open to the container's network, for Prometheus and for probes. Do not publish its port.
ENV NODE_ENV=production APP_ENV=production HOST=0.0.0.0 ADMIN_HOST=0.0.0.0 ADMIN_PORT=9464
WORKDIR /app
USER node

FROM base AS migrate
COPY db/migrations migrations
# Commands on PATH, those for operators too: docker run IMAGE cashflow dead list, or dead list for short
COPY --from=build /cashflow/dist/migrate.mjs bin/migrate
COPY --from=build /cashflow/dist/cashflow.mjs bin/cashflow
COPY --chmod=755 deploy/bin bin
COPY --from=build /cashflow/dist/migrate.mjs.map /cashflow/dist/cashflow.mjs.map bin/
ENV PATH=/app/bin:$PATH
CMD ["migrate"]

FROM base AS service
EXPOSE 9464
# Fails if the process hangs. It holds while PostgreSQL or RabbitMQ is away, also at the start: a restart would not help.
HEALTHCHECK --interval=5s --timeout=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1))"]

FROM service AS relay
COPY --from=build /cashflow/dist/relay.mjs* bin/
CMD ["node", "--enable-source-maps", "bin/relay.mjs"]

FROM service AS worker
COPY --from=build /cashflow/dist/worker.mjs* bin/
CMD ["node", "--enable-source-maps", "bin/worker.mjs"]

FROM service AS webhooks
COPY --from=build /cashflow/dist/webhooks.mjs* bin/
CMD ["node", "--enable-source-maps", "bin/webhooks.mjs"]

FROM service AS api
COPY --from=build /cashflow/dist/api.mjs* bin/
COPY --from=build /cashflow/dist/console bin/console
COPY --from=build /cashflow/dist/node_modules node_modules
EXPOSE 8080 8090
CMD ["node", "--enable-source-maps", "bin/api.mjs"]
