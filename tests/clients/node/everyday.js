// A day's work with dockerode. Usage: node everyday.js MIRRORED-IMAGE
'use strict';

const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const { once } = require('node:events');
const Docker = require(require.resolve('dockerode', { paths: [process.env.CLIENTS] }));

const docker = new Docker();
const LEAVE_OUT = (process.env.LEAVE_OUT || '').split(',');

async function all(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

// Takes a multiplexed stream apart.
async function demux(stream) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => { out.end(); err.end(); });
  return Promise.all([all(out), all(err)]);
}

async function started(script, options = {}) {
  const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sh', '-c', script], ...options });
  await container.start();
  return container;
}

const steps = {
  async system() {
    assert.strictEqual((await docker.ping()).toString(), 'OK');
    assert.ok((await docker.version()).ApiVersion);
    assert.ok((await docker.info()).Driver);
  },

  async run() {
    const out = new PassThrough();
    const shown = all(out);
    const [result, container] = await docker.run('busybox', ['echo', 'hello'], out, { Tty: true });
    out.end();
    assert.strictEqual(await shown, 'hello\r\n');
    assert.strictEqual(result.StatusCode, 0);
    await container.remove();
    await assert.rejects(docker.run('no/such:image', ['true'], new PassThrough()), { statusCode: 404 });
  },

  async life() {
    const container = await started('trap "exit 7" TERM; while :; do sleep 0.1; done', { Labels: { work: 'node' } });
    await container.rename({ name: 'node-life' });
    const found = await docker.listContainers({ filters: { label: ['work=node'] } });
    assert.deepStrictEqual(found.map((one) => one.Names), [['/node-life']]);
    await container.pause();
    assert.strictEqual((await container.inspect()).State.Status, 'paused');
    await container.unpause();
    assert.ok((await container.top()).Processes.length > 0);
    assert.ok((await container.stats({ stream: false })).memory_stats.usage > 0);
    const waiting = container.wait();
    await container.stop({ t: 10 });
    assert.strictEqual((await waiting).StatusCode, 7);
    await container.start();
    await container.kill();
    await container.wait();
    await container.remove();
    await assert.rejects(container.inspect(), { statusCode: 404 });
  },

  async logs() {
    const container = await started('echo out; echo err >&2');
    await container.wait();
    const [out, err] = await demux(await container.logs({ follow: true, stdout: true, stderr: true }));
    assert.deepStrictEqual([out, err], ['out\n', 'err\n']);
    await container.remove();
  },

  async exec() {
    const container = await started('sleep 1000');
    const exec = await container.exec({ Cmd: ['sh', '-c', 'read word; echo got $word; exit 9'], AttachStdin: true, AttachStdout: true, AttachStderr: true });
    const stream = await exec.start({ hijack: true, stdin: true });
    stream.write('word\n');
    assert.deepStrictEqual(await demux(stream), ['got word\n', '']);
    assert.strictEqual((await exec.inspect()).ExitCode, 9);
    // Half closed: the end of the input is the end of cat.
    const cat = await container.exec({ Cmd: ['cat'], AttachStdin: true, AttachStdout: true });
    const both = await cat.start({ hijack: true, stdin: true });
    both.end('typed');
    assert.deepStrictEqual(await demux(both), ['typed', '']);
    const tty = await container.exec({ Cmd: ['sh', '-c', '[ -t 1 ] && echo terminal'], Tty: true, AttachStdout: true });
    assert.strictEqual(await all(await tty.start({ Tty: true })), 'terminal\r\n');
    await container.remove({ force: true });
  },

  async attach() {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true });
    const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    await container.start();
    stream.end('typed');
    assert.deepStrictEqual(await demux(stream), ['typed', '']);
    assert.strictEqual((await container.wait()).StatusCode, 0);
    await container.remove();
  },

  async events() {
    const since = Math.floor(Date.now() / 1000);
    const container = await started('true', { Labels: { work: 'node-events' } });
    await container.wait();
    await container.remove();
    const filters = { type: ['container'], label: ['work=node-events'] };
    const stream = await docker.getEvents({ since, until: Math.floor(Date.now() / 1000) + 1, filters });
    const seen = (await all(stream)).trim().split('\n').map((line) => JSON.parse(line).Action);
    assert.deepStrictEqual(seen, ['create', 'start', 'die', 'destroy']);
  },

  async stats() {
    const container = await started('sleep 1000');
    const stream = await container.stats({ stream: true });
    const [first] = await once(stream, 'data');
    assert.ok(JSON.parse(first.toString().split('\n')[0]).cpu_stats);
    stream.destroy();
    await container.remove({ force: true });
  },

  async volumes() {
    const volume = await docker.createVolume({ Name: 'node-volume', Labels: { work: 'node' } });
    const container = await started('echo kept >/data/file', { HostConfig: { Binds: ['node-volume:/data'] } });
    assert.strictEqual((await container.wait()).StatusCode, 0);
    await assert.rejects(docker.getVolume('node-volume').remove(), { statusCode: 409 });
    await container.remove();
    assert.strictEqual((await docker.listVolumes({ filters: { label: ['work=node'] } })).Volumes.length, 1);
    await docker.getVolume(volume.name || volume.Name).remove();
  },

  async images() {
    const wanted = process.argv[2];
    const progress = await new Promise((resolve, reject) => {
      docker.pull(wanted, (error, stream) => (error ? reject(error)
        : docker.modem.followProgress(stream, (failed, lines) => (failed ? reject(failed) : resolve(lines)))));
    });
    assert.match(progress.at(-1).status, /^Status: /);
    const image = docker.getImage(wanted);
    await image.tag({ repo: 'node/copy', tag: 'v1' });
    const saved = await all(await docker.getImage('node/copy:v1').get());
    assert.ok(saved.length > 10000);
    await docker.getImage('node/copy:v1').remove();
    await assert.rejects(docker.getImage('node/copy:v1').inspect(), { statusCode: 404 });
  },

  async copy() {
    const container = await started('sleep 1000');
    const archive = await container.getArchive({ path: '/etc/passwd' });
    assert.match(await all(archive), /root:x:0:0/);
    await container.remove({ force: true });
  },

  async networks() {
    const network = await docker.createNetwork({ Name: 'node-net', Labels: { work: 'node' } });
    const container = await started('sleep 1000', { HostConfig: { NetworkMode: 'node-net' } });
    const inspected = await network.inspect();
    assert.deepStrictEqual(Object.keys(inspected.Containers), [container.id]);
    await container.remove({ force: true });
    await network.remove();
  },
};

(async () => {
  for (const [name, step] of Object.entries(steps)) {
    if (LEAVE_OUT.includes(name)) continue;
    await step();
    console.log(name, 'ok');
  }
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
