using Grpc.Net.Client;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>A workload that only calls.</summary>
internal interface ICaller : IAsyncDisposable
{
    /// <summary>Follows no redirects and keeps no cookies.</summary>
    HttpMessageInvoker Http { get; }

    /// <summary>The versions of HTTP must be met as they are asked for.</summary>
    bool SpeaksExactly { get; }

    GrpcChannel Channel(Uri address);
}
