using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Identity;
using Mesh.Xds;

namespace Mesh.Hosting;

/// <summary>The one mTLS channel to the control plane for configuration and telemetry. Every new connection on it shows the certificate of that moment.</summary>
internal sealed class ControlPlaneChannel : IAdsConnector, IDisposable
{
    /// <summary>Largest message taken: a big mesh in one state-of-the-world answer.</summary>
    private const int MaxMessageBytes = 64 * 1024 * 1024;

    private readonly IWorkloadIdentitySource _identity;
    private readonly GrpcChannel _channel;
    private readonly CallInvoker _invoker;

    public ControlPlaneChannel(Uri address, ControlPlaneDialer dialer, IWorkloadIdentitySource identity)
    {
        _identity = identity;
        _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = dialer.CreateHandler(() => identity.Current),
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MaxMessageBytes,
        });
        _invoker = _channel.CreateCallInvoker();
    }

    /// <summary>Waits for the first certificate: without one the control plane would refuse the connection.</summary>
    public async ValueTask<CallInvoker> ConnectAsync(CancellationToken cancellationToken)
    {
        await _identity.GetAsync(cancellationToken).ConfigureAwait(false);
        return _invoker;
    }

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();
}
