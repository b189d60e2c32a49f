using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Mesh.Testing;

/// <summary>Both ends of one TLS connection over loopback, and how many bytes the client received for its handshake.</summary>
internal sealed class TlsPair : IAsyncDisposable
{
    private TlsPair(SslStream client, SslStream server, CountingStream counting, Exception? clientFailure, Exception? serverFailure)
    {
        (Client, Server, ClientFailure, ServerFailure) = (client, server, clientFailure, serverFailure);
        HandshakeBytes = counting.Received;
    }

    public SslStream Client { get; }

    public SslStream Server { get; }

    public Exception? ClientFailure { get; }

    public Exception? ServerFailure { get; }

    /// <summary>What the server sent: with its certificates much more than when the session was resumed.</summary>
    public long HandshakeBytes { get; }

    public bool Failed => (ClientFailure ?? ServerFailure) is not null;

    /// <summary>Makes the connection and sends one byte each way: a TLS 1.3 client learns of a refusal, and of session tickets, only then.</summary>
    public static async Task<TlsPair> ConnectAsync(SslClientAuthenticationOptions client, SslServerAuthenticationOptions server)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var accepting = listener.AcceptSocketAsync(limit.Token);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint, limit.Token);
        var counting = new CountingStream(socket);
        var (ours, theirs) = (new SslStream(counting), new SslStream(new NetworkStream(await accepting, ownsSocket: true)));
        var failures = await Task.WhenAll(
            FailureAsync(async () =>
            {
                await ours.AuthenticateAsClientAsync(client, limit.Token);
                await ours.WriteAsync(new byte[1], limit.Token);
                await ours.ReadExactlyAsync(new byte[1], limit.Token);
            }, ours),
            FailureAsync(async () =>
            {
                await theirs.AuthenticateAsServerAsync(server, limit.Token);
                await theirs.ReadExactlyAsync(new byte[1], limit.Token);
                await theirs.WriteAsync(new byte[1], limit.Token);
            }, theirs));
        return new TlsPair(ours, theirs, counting, failures[0], failures[1]);
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await Server.DisposeAsync();
    }

    private static async Task<Exception?> FailureAsync(Func<Task> handshake, SslStream stream)
    {
        try
        {
            await handshake();
            return null;
        }
        catch (Exception e)
        {
            // The other end is not to wait for what does not come.
            await stream.DisposeAsync();
            return e;
        }
    }

    private sealed class CountingStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        public long Received { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            Received += read;
            return read;
        }
    }
}
