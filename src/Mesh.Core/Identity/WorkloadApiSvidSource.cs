using System.Security.Cryptography;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Concurrency;
using Mesh.Protos.SpiffeWorkload;
using Mesh.Spiffe;
using X509Svid = Mesh.Spiffe.X509Svid;

namespace Mesh.Identity;

/// <summary>Takes certificates from a SPIFFE Workload API, such as SPIRE's agent, as it pushes them (SPIFFE Workload API §5.2).</summary>
/// <remarks>One stream at a time, made again with back-off; what it gave last stays in force meanwhile. Federated bundles are not used: a mesh is one trust domain. Thread-safe.</remarks>
/// <param name="expected">Which certificate to take of several; where none has this identity, the first of its trust domain.</param>
internal sealed class WorkloadApiSvidSource(WorkloadApiAddress address, SpiffeId expected, TimeProvider time, Random random) : ISvidSource, IAsyncDisposable
{
    /// <summary>Tells the server that no browser or proxy was tricked into asking (SPIFFE Workload Endpoint §6).</summary>
    public const string SecurityHeader = "workload.spiffe.io";

    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile State _state = new(null, null);
    private volatile Action? _onNews;
    private Task _running = Task.CompletedTask;
    private int _started;
    private int _disposed;

    /// <inheritdoc/>
    public async Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
    {
        await _answered.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        var state = _state;
        return state.Failure is null ? state.Issued! : throw new SvidException(state.Failure.Message, state.Failure.NeedsPerson, state.Failure);
    }

    /// <summary>Begins to ask.</summary>
    /// <inheritdoc cref="ISvidSource.Subscribe"/>
    public IDisposable Subscribe(Action onNews)
    {
        if (Interlocked.Exchange(ref _started, 1) != 0)
        {
            throw new InvalidOperationException("One subscriber is all there is.");
        }

        _onNews = onNews;
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }

        return new Subscription(this);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            await _running.ConfigureAwait(false);
            _answered.TrySetCanceled();
            _stop.Dispose();
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = address.CreateHandler(), DisposeHttpClient = true });
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        var backoff = new Backoff(random, max: TimeSpan.FromSeconds(30));
        var headers = new Metadata { { SecurityHeader, "true" } };
        while (!cancellationToken.IsCancellationRequested)
        {
            SvidException failure;
            try
            {
                using var call = client.FetchX509SVID(new X509SVIDRequest(), headers, cancellationToken: cancellationToken);
                while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
                {
                    backoff.Reset();
                    Tell(Take(call.ResponseStream.Current));
                }

                failure = new SvidException($"The Workload API at {address} ended its stream.", needsPerson: false);
            }
            catch (RpcException e)
            {
                failure = Explain(e);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            if (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            Tell(_state with { Failure = failure });
            await Task.Delay(backoff.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Tell(State state)
    {
        _state = state;
        _answered.TrySetResult();
        _onNews?.Invoke();
    }

    private State Take(X509SVIDResponse response)
    {
        try
        {
            return new State(Read(response), null);
        }
        catch (SvidException e)
        {
            return _state with { Failure = e };
        }
    }

    private IssuedSvid Read(X509SVIDResponse response)
    {
        var given = response.Svids.FirstOrDefault(svid => svid.SpiffeId == expected.ToString())
            ?? response.Svids.FirstOrDefault(svid => SpiffeId.TryParse(svid.SpiffeId, out var id) && id.TrustDomain == expected.TrustDomain)
            ?? throw Wrong(response.Svids.Count == 0
                ? "it gave no certificate. Register this workload there"
                : $"none of the {response.Svids.Count} identities that it gave ('{response.Svids[0].SpiffeId}' …) is of the trust domain '{expected.TrustDomain}'. Check Mesh:TrustDomain");
        try
        {
            var chain = SvidReader.ReadDer(given.X509Svid.Span);
            var bundle = new TrustBundle(expected.TrustDomain, SvidReader.Roots(SvidReader.ReadDer(given.Bundle.Span)));
            if (chain.Count == 0 || bundle.Roots.Count == 0)
            {
                throw Wrong($"the certificate of '{given.SpiffeId}' has {chain.Count} certificates and {bundle.Roots.Count} self-signed roots");
            }

            return SvidReader.TryRead(SvidReader.WithKey(chain[0], given.X509SvidKey.Span), chain.Skip(1), bundle, time.GetUtcNow(), out var svid, out var problem)
                ? Certifies(svid, given.SpiffeId, bundle)
                : throw Wrong($"the certificate of '{given.SpiffeId}' cannot be used: {problem}");
        }
        catch (CryptographicException e)
        {
            // Its text names no bytes of a key.
            throw Wrong($"the certificate of '{given.SpiffeId}' is malformed: {e.Message.TrimEnd('.')}", e);
        }
    }

    private IssuedSvid Certifies(X509Svid svid, string said, TrustBundle bundle) => svid.Id.ToString() == said
        ? new IssuedSvid(svid, bundle, OwnsTrust: true)
        : throw Wrong($"the certificate of '{said}' certifies '{svid.Id}'");

    private SvidException Wrong(string problem, Exception? inner = null) => new($"The Workload API at {address} was asked for a certificate, and {problem}.", needsPerson: true, inner);

    private SvidException Explain(RpcException e) => e.StatusCode switch
    {
        StatusCode.PermissionDenied => new SvidException($"The Workload API at {address} has no identity for this process: {e.Status.Detail} Register this workload there.", needsPerson: true, e),
        StatusCode.InvalidArgument => new SvidException($"The Workload API at {address} refused the request: {e.Status.Detail}", needsPerson: true, e),
        StatusCode.Unimplemented => new SvidException($"What answers at {address} is no SPIFFE Workload API: {e.Status.Detail} Check Mesh:WorkloadApi.", needsPerson: true, e),
        _ => new SvidException($"The Workload API at {address} could not be asked: {e.Status.DebugException?.GetBaseException().Message ?? e.Status.Detail} ({e.StatusCode})", needsPerson: false, e),
    };

    /// <param name="Failure">Why <paramref name="Issued"/> may be outdated; null while the stream gives what it should.</param>
    private sealed record State(IssuedSvid? Issued, SvidException? Failure);

    private sealed class Subscription(WorkloadApiSvidSource source) : IDisposable
    {
        public void Dispose() => source._onNews = null;
    }
}
