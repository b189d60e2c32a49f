using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Mesh.Identity;

/// <summary>Where a SPIFFE Workload API is served (SPIFFE Workload Endpoint §4). Immutable.</summary>
internal sealed class WorkloadApiAddress
{
    private readonly EndPoint _endpoint;
    private readonly string _text;

    private WorkloadApiAddress(EndPoint endpoint, string text) => (_endpoint, _text) = (endpoint, text);

    /// <param name="problem">What is wrong, and how to write it.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out WorkloadApiAddress? address, [NotNullWhen(false)] out string? problem)
    {
        const string fix = "Use unix:///path/to/socket, or tcp://127.0.0.1:port.";
        address = null;
        problem = $"'{text}' is no address of a Workload API. {fix}";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Query.Length > 0 || uri.Fragment.Length > 0 || uri.UserInfo.Length > 0)
        {
            return false;
        }

        if (uri.Scheme == "unix")
        {
            if (uri.Host.Length > 0 || uri.AbsolutePath.Length < 2)
            {
                return false;
            }

            try
            {
                address = new(new UnixDomainSocketEndPoint(Uri.UnescapeDataString(uri.AbsolutePath)), text);
            }
            catch (ArgumentOutOfRangeException)
            {
                problem = $"'{text}' is longer than the path of a Unix socket may be. Use a shorter one.";
                return false;
            }
        }
        else if (uri.Scheme == "tcp" && IPAddress.TryParse(uri.Host.Trim('[', ']'), out var ip) && uri.Port is > 0 and <= 65535 && uri.AbsolutePath is "" or "/")
        {
            if (!IPAddress.IsLoopback(ip))
            {
                problem = $"'{text}' is not of this machine: the private key would cross the network in the clear. {fix}";
                return false;
            }

            address = new(new IPEndPoint(ip, uri.Port), text);
        }
        else
        {
            return false;
        }

        problem = null;
        return true;
    }

    /// <summary>A private handler: nothing that the host registers sees it.</summary>
    public SocketsHttpHandler CreateHandler() => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = _endpoint is UnixDomainSocketEndPoint
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(_endpoint, cancellationToken).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    };

    public override string ToString() => _text;
}
