// Load reports (ORCA) between grpc-js and us, in plaintext.
//   serve <utilization> <qps>                     reports with each answer and on a stream; prints its port
//   call  <target> <method> <count> <out of band> balances by reports (weighted_round_robin) and prints who answered how often
'use strict';
const grpc = require('@grpc/grpc-js');

const raw = (b) => b;
const methods = (path) => ({ ask: { path, requestStream: false, responseStream: false, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw } });

function serve(utilization, qps) {
  const recorder = new grpc.ServerMetricRecorder();
  recorder.setApplicationUtilizationMetric(utilization);
  recorder.setQpsMetric(qps);
  recorder.setEpsMetric(0);
  const server = new grpc.Server({ 'grpc.server_call_metric_recording': 1 });
  recorder.addToServer(server);
  server.addService(methods('/test.Foreign/Ask'), {
    ask(call, callback) {
      const metrics = call.getMetricsRecorder();
      metrics.recordApplicationUtilizationMetric(utilization);
      metrics.recordQpsMetric(qps);
      metrics.recordNamedMetric('queue', 0.5);
      callback(null, Buffer.from(`${utilization}`));
    },
  });
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log(port);
  });
}

function call(target, method, count, outOfBand) {
  const config = {
    loadBalancingConfig: [{ weighted_round_robin: {
      enable_oob_load_report: outOfBand, oob_load_reporting_period: '0.1s', blackout_period: '0s', weight_update_period: '0.1s' } }],
  };
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), { 'grpc.service_config': JSON.stringify(config), 'grpc.service_config_disable_resolution': 1 });
  const answers = {};
  const failures = [];
  const next = (left) => {
    if (left === 0) {
      console.log(JSON.stringify({ answers, failures }));
      process.exit(0);
    }
    client.makeUnaryRequest(method, raw, raw, Buffer.alloc(0), new grpc.Metadata(), { deadline: Date.now() + 10000 }, (error, reply) => {
      if (error) failures.push(`${error.code}: ${error.details}`);
      else { const who = reply.toString('utf8', 2, 2 + reply[1]); answers[who] = (answers[who] || 0) + 1; }
      setTimeout(next, 5, left - 1);
    });
  };
  next(count);
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === 'serve') serve(Number(rest[0]), Number(rest[1]));
else call(rest[0], rest[1], Number(rest[2]), rest[3] === 'true');
