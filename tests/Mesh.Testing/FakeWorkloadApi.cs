using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Identity;
using Mesh.Protos.SpiffeWorkload;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing;

/// <summary>A SPIFFE Workload API that pushes exactly what the test tells it to, also wrongly, over a real Unix socket.</summary>
internal sealed class FakeWorkloadApi : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string _path;

    private FakeWorkloadApi(WebApplication app, string path) => (_app, _path) = (app, path);

    /// <summary>What streams are sent next.</summary>
    public Channel<X509SVIDResponse> Answers { get; private init; } = null!;

    /// <summary>The security header of each stream. Lock it to read.</summary>
    public List<string?> Headers { get; private init; } = null!;

    /// <summary>While set, streams end with it at once.</summary>
    public Status? Refusal
    {
        get => _app.Services.GetRequiredService<Shared>().Refusal;
        set => _app.Services.GetRequiredService<Shared>().Refusal = value;
    }

    public static async Task<FakeWorkloadApi> StartAsync(string path)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        var shared = new Shared();
        builder.Services.AddSingleton(shared);
        builder.WebHost.ConfigureKestrel(k => k.ListenUnixSocket(path, l => l.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.MapGrpcService<Service>();
        await app.StartAsync();
        return new FakeWorkloadApi(app, path) { Answers = shared.Answers, Headers = shared.Headers };
    }

    public void Push(params WorkloadIdentity[] identities)
    {
        var response = new X509SVIDResponse();
        response.Svids.AddRange(identities.Select(Svid));
        Answers.Writer.TryWrite(response);
    }

    public static X509SVID Svid(WorkloadIdentity identity)
    {
        using var key = identity.Svid.Leaf.GetECDsaPrivateKey()!;
        return new X509SVID
        {
            SpiffeId = identity.Svid.Id.ToString(),
            X509Svid = ByteString.CopyFrom([.. identity.Svid.Leaf.RawData, .. identity.Svid.Intermediates.SelectMany(i => i.RawData)]),
            X509SvidKey = ByteString.CopyFrom(key.ExportPkcs8PrivateKey()),
            Bundle = ByteString.CopyFrom([.. identity.Bundle.Roots.SelectMany(r => r.RawData)]),
        };
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        File.Delete(_path);
    }

    internal sealed class Shared
    {
        public Channel<X509SVIDResponse> Answers { get; } = Channel.CreateUnbounded<X509SVIDResponse>();

        public List<string?> Headers { get; } = [];

        public Status? Refusal { get; set; }
    }

    internal sealed class Service(Shared shared) : SpiffeWorkloadAPI.SpiffeWorkloadAPIBase
    {
        public override async Task FetchX509SVID(X509SVIDRequest request, IServerStreamWriter<X509SVIDResponse> responseStream, ServerCallContext context)
        {
            lock (shared.Headers)
            {
                shared.Headers.Add(context.RequestHeaders.GetValue("workload.spiffe.io"));
            }

            if (shared.Refusal is { } refusal)
            {
                throw new RpcException(refusal);
            }

            await foreach (var answer in shared.Answers.Reader.ReadAllAsync(context.CancellationToken))
            {
                await responseStream.WriteAsync(answer);
                if (shared.Refusal is { } late)
                {
                    throw new RpcException(late);
                }
            }
        }
    }
}
