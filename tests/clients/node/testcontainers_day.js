// A test writer's day with testcontainers for Node.
'use strict';

const assert = require('node:assert');
const { GenericContainer, Network, Wait } = require(require.resolve('testcontainers', { paths: [process.env.CLIENTS] }));

const PAGE = 'mkdir -p /www; cp /tmp/page /www/index.html; echo serving; httpd -f -p 80 -h /www';

async function web() {
  const container = await new GenericContainer('busybox')
    .withCopyContentToContainer([{ content: 'hello\n', target: '/tmp/page' }])
    .withCommand(['sh', '-c', PAGE])
    .withExposedPorts(80)
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage('serving'), Wait.forListeningPorts()]))
    .start();
  const answer = await fetch(`http://127.0.0.1:${container.getMappedPort(80)}/`);
  assert.strictEqual(await answer.text(), 'hello\n');
  const ran = await container.exec(['sh', '-c', 'echo out; exit 3']);
  assert.deepStrictEqual([ran.output, ran.exitCode], ['out\n', 3]);
  await container.restart();
  await container.stop();
}

async function health() {
  const container = await new GenericContainer('busybox')
    .withCommand(['sh', '-c', 'sleep 1; touch /ready; sleep 1000'])
    .withHealthCheck({ test: ['CMD-SHELL', 'test -e /ready'], interval: 500, timeout: 5000, retries: 60, startPeriod: 0 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  await container.stop();
}

async function network() {
  const shared = await new Network().start();
  const server = await new GenericContainer('busybox').withNetwork(shared).withNetworkAliases('site')
    .withCommand(['sh', '-c', 'mkdir /www; echo hello >/www/index.html; echo serving; httpd -f -p 80 -h /www'])
    .withWaitStrategy(Wait.forLogMessage('serving')).start();
  const asking = await new GenericContainer('busybox').withNetwork(shared)
    .withCommand(['sh', '-c', 'until wget -qO- http://site/; do sleep 0.1; done; echo done; sleep 1000'])
    .withWaitStrategy(Wait.forLogMessage('done')).start();
  await asking.stop();
  await server.stop();
  await shared.stop();
}

(async () => {
  for (const step of [web, health, network]) {
    if ((process.env.LEAVE_OUT || '').split(',').includes(step.name)) continue;
    await step();
    console.log(step.name, 'ok');
  }
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
