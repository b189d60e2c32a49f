using Grpc.Core;
using Grpc.Net.Client;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>What is given on.</summary>
internal enum OtlpSignal
{
    Traces,
    Metrics,
}

/// <summary>A collector, however it is spoken to. Never throws but for cancellation.</summary>
internal abstract class OtlpTarget : IDisposable
{
    /// <param name="headers">Sent with everything, such as a key.</param>
    public static OtlpTarget Create(Uri address, OtlpProtocol protocol, IReadOnlyList<KeyValuePair<string, string>> headers, TimeProvider time)
    {
        var http = protocol == OtlpProtocol.HttpProtobuf || (protocol == OtlpProtocol.Auto && (address.Port == 4318 || address.AbsolutePath.Length > 1));
        // Private: no filter of anybody's sees it, and it is not traced, which would be traced, and so on.
        var handler = new SocketsHttpHandler { ActivityHeadersPropagator = null, ConnectTimeout = TimeSpan.FromSeconds(5), AllowAutoRedirect = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.FromMinutes(10) };
        return http ? new HttpTarget(address, headers, handler, time) : new GrpcTarget(address, headers, handler);
    }

    /// <param name="message">One export request, in protobuf.</param>
    public abstract Task<OtlpAnswer> SendAsync(OtlpSignal signal, byte[] message, CancellationToken cancellationToken);

    public abstract void Dispose();

    /// <summary>OTLP/HTTP with protobuf.</summary>
    private sealed class HttpTarget(Uri address, IReadOnlyList<KeyValuePair<string, string>> headers, HttpMessageHandler handler, TimeProvider time) : OtlpTarget
    {
        /// <summary>What it says in its answers is read up to here.</summary>
        private const int MaxAnswerBytes = 64 * 1024;

        private readonly HttpMessageInvoker _http = new(handler);

        public override async Task<OtlpAnswer> SendAsync(OtlpSignal signal, byte[] message, CancellationToken cancellationToken)
        {
            var path = signal == OtlpSignal.Traces ? "v1/traces" : "v1/metrics";
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"{address.GetLeftPart(UriPartial.Path).TrimEnd('/')}/{path}"))
            {
                Content = new ByteArrayContent(message) { Headers = { ContentType = new("application/x-protobuf") } },
            };
            foreach (var (name, value) in headers)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }

            try
            {
                using var response = await _http.SendAsync(request, cancellationToken);
                var body = await ReadAsync(response.Content, cancellationToken);
                return response.IsSuccessStatusCode ? OtlpAnswer.Of(signal, body) : OtlpAnswer.Of(response.StatusCode, response.Headers.RetryAfter, body, time.GetUtcNow());
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                return new(OtlpVerdict.Later, e.Message);
            }
        }

        public override void Dispose() => _http.Dispose();

        /// <summary>All of it, so that the connection can be used again; of what is too long nothing, and the connection ends.</summary>
        private static async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
        {
            var body = new byte[MaxAnswerBytes];
            await using var stream = await content.ReadAsStreamAsync(cancellationToken);
            var read = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken);
            return read < body.Length && content.Headers.ContentType?.MediaType == "application/x-protobuf" ? body[..read] : [];
        }
    }

    /// <summary>OTLP/gRPC.</summary>
    private sealed class GrpcTarget : OtlpTarget
    {
        private static readonly Marshaller<byte[]> AsIs = Marshallers.Create<byte[]>(bytes => bytes, bytes => bytes);
        private static readonly Method<byte[], byte[]> Traces = new(MethodType.Unary, "opentelemetry.proto.collector.trace.v1.TraceService", "Export", AsIs, AsIs);
        private static readonly Method<byte[], byte[]> Metrics = new(MethodType.Unary, "opentelemetry.proto.collector.metrics.v1.MetricsService", "Export", AsIs, AsIs);
        private readonly GrpcChannel _channel;
        private readonly CallInvoker _invoker;
        private readonly Metadata _headers = [];

        public GrpcTarget(Uri address, IReadOnlyList<KeyValuePair<string, string>> headers, HttpMessageHandler handler)
        {
            _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
            _invoker = _channel.CreateCallInvoker();
            foreach (var (name, value) in headers)
            {
                _headers.Add(name.ToLowerInvariant(), value);
            }
        }

        public override async Task<OtlpAnswer> SendAsync(OtlpSignal signal, byte[] message, CancellationToken cancellationToken)
        {
            try
            {
                using var call = _invoker.AsyncUnaryCall(signal == OtlpSignal.Traces ? Traces : Metrics, null, new CallOptions(_headers, cancellationToken: cancellationToken), message);
                return OtlpAnswer.Of(signal, await call.ResponseAsync);
            }
            catch (RpcException) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException(cancellationToken);
            }
            catch (RpcException e)
            {
                return OtlpAnswer.Of(e);
            }
        }

        public override void Dispose() => _channel.Dispose();
    }
}
