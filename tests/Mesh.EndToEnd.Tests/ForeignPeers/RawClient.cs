using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>A gRPC client that knows no mesh and believes every server: it shows what the server does.</summary>
internal static class RawClient
{
    private static readonly Marshaller<byte[]> _bytes = Marshallers.Create<byte[]>(b => b, b => b);

    /// <summary>One call on a connection of its own.</summary>
    /// <param name="certificate">Null shows none.</param>
    /// <returns>The status, and the answer's text or what the status says.</returns>
    public static Task<(StatusCode Code, string Text)> CallAsync(int port, X509Certificate2? certificate, string path, params (string Name, string Value)[] headers) =>
        CallAsync(port, certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true), path, headers);

    /// <summary>One call on a connection of its own.</summary>
    /// <param name="identity">With what stands between it and its root; null shows none.</param>
    /// <returns>The status, and the answer's text or what the status says.</returns>
    public static async Task<(StatusCode Code, string Text)> CallAsync(int port, SslStreamCertificateContext? identity, string path, params (string Name, string Value)[] headers)
    {
        using var handler = new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(5) };
        handler.SslOptions.ClientCertificateContext = identity;
#pragma warning disable CA5359 // The server is the one under test.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        using var channel = GrpcChannel.ForAddress($"https://127.0.0.1:{port}", new GrpcChannelOptions { HttpHandler = handler });
        var slash = path.LastIndexOf('/');
        var method = new Method<byte[], byte[]>(MethodType.Unary, path[1..slash], path[(slash + 1)..], _bytes, _bytes);
        var metadata = new Metadata();
        foreach (var (name, value) in headers)
        {
            metadata.Add(name, value);
        }

        try
        {
            var answer = await channel.CreateCallInvoker().AsyncUnaryCall(
                method, null, new CallOptions(metadata, DateTime.UtcNow.AddSeconds(10), TestContext.Current.CancellationToken), []);
            return (StatusCode.OK, Encoding.UTF8.GetString(answer));
        }
        catch (RpcException e)
        {
            return (e.StatusCode, e.Status.Detail);
        }
    }
}
