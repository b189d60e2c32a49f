using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Channels to the other replicas: where they are stands in their ConfigMaps, who they are is shown by a certificate of the mesh's authority for the control plane's name, who we are by the token that replicas share. Thread-safe.</summary>
internal sealed class ReplicaPeers(string own, Replicas replicas, TrustBundleStore trust, AdminToken token, TimeProvider time) : IReplicaPeers, IDisposable
{
    private const string Header = "authorization";
    private const int MaxMessageBytes = 64 << 20;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _channels = new(StringComparer.Ordinal);
    private bool _disposed;

    /// <inheritdoc/>
    public string Own => own;

    /// <inheritdoc/>
    public IReadOnlyList<ReplicaPeer> Others
    {
        get
        {
            var live = replicas.Others.Where(o => !o.IsOver).OrderBy(o => o.Pod, StringComparer.Ordinal).ToList();
            lock (_lock)
            {
                foreach (var gone in _channels.Keys.Except(live.Select(o => o.Pod)).ToList())
                {
                    _channels.Remove(gone, out var entry);
                    entry!.Channel.Dispose();
                }

                return [.. live.Select(PeerLocked)];
            }
        }
    }

    /// <inheritdoc/>
    public bool IsReplica(Metadata requestHeaders) =>
        requestHeaders.GetValue(Header) is { } value && value.StartsWith("Bearer ", StringComparison.Ordinal) && token.Matches(value["Bearer ".Length..]);

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            foreach (var entry in _channels.Values)
            {
                entry.Channel.Dispose();
            }

            _channels.Clear();
        }
    }

    private ReplicaPeer PeerLocked(OtherReplica other)
    {
        if (other.FreshUntil.Left(time) <= TimeSpan.Zero)
        {
            return new ReplicaPeer(other.Pod, null, "It has said nothing of itself for a while.");
        }

        if (other.Address is not { } address || _disposed)
        {
            return new ReplicaPeer(other.Pod, null, "It has not said where it is: it is just starting, or of an older version.");
        }

        if (!_channels.TryGetValue(other.Pod, out var entry) || entry.Address != address)
        {
            entry?.Channel.Dispose();
            _channels[other.Pod] = entry = Open(address);
        }

        return new ReplicaPeer(other.Pod, entry.Calls);
    }

    private Entry Open(string address)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectTimeout = TimeSpan.FromSeconds(2),
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(5),
            SslOptions = new SslClientAuthenticationOptions
            {
                TargetHost = ServingCertificate.Name,
                EnabledSslProtocols = SslProtocols.Tls13,
                RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsTrusted(certificate, chain, errors),
            },
        };
        var channel = GrpcChannel.ForAddress($"https://{address}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = MaxMessageBytes });
        return new Entry(address, channel, channel.Intercept(headers =>
        {
            headers.Add(Header, $"Bearer {token.Value}");
            return headers;
        }));
    }

    /// <summary>By the roots that are in force now, whichever were when the channel was made.</summary>
    private bool IsTrusted(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        // The name was compared by the handshake; its chain ends at a root that the machine does not know.
        if (certificate is not X509Certificate2 leaf || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
        {
            return false;
        }

        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.DisableCertificateDownloads = true;
        foreach (var root in trust.Current.Bundle.Roots)
        {
            own.ChainPolicy.CustomTrustStore.Add(root);
        }

        foreach (var element in chain?.ChainElements.Skip(1) ?? [])
        {
            own.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        own.ChainPolicy.ExtraStore.AddRange(chain?.ChainPolicy.ExtraStore ?? []);
        return own.Build(leaf);
    }

    private sealed record Entry(string Address, GrpcChannel Channel, CallInvoker Calls);
}
