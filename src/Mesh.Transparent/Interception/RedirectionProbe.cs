using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Mesh.Transparent.Interception;

/// <summary>Proves that outbound connections come to the proxy's port: takes that port, dials an address elsewhere, and must meet itself.</summary>
/// <remarks>As Linkerd's network-validator does it. Where nothing redirects, the attempt leaves the pod; nobody needs to answer it.</remarks>
internal static partial class RedirectionProbe
{
    private const int DialledPort = 20001;
    private const string HowToFix = "Run 'mesh-proxy init' in this network namespace first (as root with NET_ADMIN), or wait for the CNI plugin; see docs/interception.md.";

    /// <exception cref="InterceptionException">It is not so: with the reason.</exception>
    public static async Task CheckAsync(bool ipV6, ushort outboundPort, TimeSpan timeout, TimeProvider time)
    {
        var dialled = new IPEndPoint(IPAddress.Parse(ipV6 ? "fd00::1" : "1.1.1.1"), DialledPort);
        using var listener = Listen(ipV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, outboundPort);
        using var client = new Socket(dialled.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var limit = new CancellationTokenSource(timeout, time);
        try
        {
            await client.ConnectAsync(dialled, limit.Token).ConfigureAwait(false);
            while (true)
            {
                using var accepted = await listener.AcceptAsync(limit.Token).ConfigureAwait(false);

                // Someone else of the pod may already be calling out.
                if (client.LocalEndPoint!.Equals(accepted.RemoteEndPoint))
                {
                    Compare(dialled, accepted);
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            throw client.Connected
                ? NotRedirected(dialled, "it was connected to another listener, not to this program", HowToFix)
                : NotRedirected(dialled, $"it was not connected to anything in {timeout.TotalSeconds:0.###} s", HowToFix);
        }
        catch (SocketException exception)
        {
            throw NotRedirected(dialled, exception.Message, exception.SocketErrorCode is SocketError.NetworkUnreachable or SocketError.HostUnreachable
                ? $"Only what has a route can be redirected: this network namespace needs a default route for {(ipV6 ? "IPv6; without one leave --ipv6 out" : "IPv4")}."
                : HowToFix);
        }
    }

    private static Socket Listen(IPAddress address, ushort port)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(address, port));
            listener.Listen();
            return listener;
        }
        catch (SocketException exception)
        {
            listener.Dispose();
            throw new InterceptionException(
                ExitCodes.Failure,
                $"port {port} of {address} can't be listened on: {exception.Message}. Validate before the proxy starts, as an init container, and give --outbound-port if the proxy uses another one.");
        }
    }

    private static void Compare(IPEndPoint dialled, Socket accepted)
    {
        if (!OriginalDestination.TryRead(accepted, out var original))
        {
            throw NotRedirected(dialled, "it was redirected, but SO_ORIGINAL_DST does not say where it was going", "The kernel needs nf_conntrack, and the redirection must be done in this network namespace.");
        }

        if (!original.Equals(dialled))
        {
            throw NotRedirected(dialled, $"it was redirected, but SO_ORIGINAL_DST says {original}", "Some other rule changes destinations before ours: look at 'nft list ruleset' in this network namespace.");
        }
    }

    private static InterceptionException NotRedirected(IPEndPoint dialled, string reason, string fix)
    {
        var user = GetUid();
        var exempt = user == new InterceptionOptions().ProxyUid ? $" This runs as user {user}, the proxy's own, who is never redirected: validate as another." : "";
        return new(ExitCodes.NotRedirected, $"connections are not redirected: {dialled} was dialled and {reason.TrimEnd('.')}.{exempt} {fix}");
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetUid();
}
