using Grpc.Core;

namespace Mesh.Xds;

/// <summary>Gives a connection to the control plane that is ready to use.</summary>
internal interface IAdsConnector
{
    ValueTask<CallInvoker> ConnectAsync(CancellationToken cancellationToken);
}
