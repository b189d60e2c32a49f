using System.Net;
using System.Net.Sockets;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>A control plane that cannot start says why in one message, and ends with 1.</summary>
public sealed class ControlPlaneStartTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-start-").FullName;

    [Theory]
    [InlineData("--ads-port")]
    [InlineData("--grpc-port")]
    [InlineData("--http-port")]
    public async Task Port_Taken_NamesPortAndFlag(string flag)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;

        var message = await FailAsync("--config", _folder, "--data", Data("data"), "--port-base", "0", flag, $"{port}");

        Assert.Equal($"Port {port} is taken by another process. Stop it, or give another port with {flag} N (0 is any free one), or move all with --port-base N.", message);
    }

    [Fact]
    public async Task DataFolder_OfARunningControlPlane_NamesFolderAndFlag()
    {
        await using var first = ChildProcess.StartOurs("Mesh.ControlPlane", "--config", _folder, "--data", Data("data"), "--port-base", "0");
        await first.FirstLineAsync(TimeSpan.FromSeconds(60));

        var message = await FailAsync("--config", _folder, "--data", Data("data"), "--port-base", "0");

        Assert.StartsWith($"Data folder '{Data("data")}' is in use by another control plane", message, StringComparison.Ordinal);
        Assert.Contains("--data DIR", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConfigFolder_Missing_NamesFolderAndFlag()
    {
        var missing = Path.Combine(_folder, "nowhere");

        var message = await FailAsync("--config", missing, "--data", Data("data"), "--port-base", "0");

        Assert.Equal($"The configuration folder '{missing}' does not exist. Make it, or set --config DIR (ConfigFolder) to the one with the manifests.", message);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Data(string name) => Path.Combine(_folder, name);

    /// <summary>Nothing on stdout, and on stderr this one line beside informational logs.</summary>
    private static async Task<string> FailAsync(params string[] arguments)
    {
        await using var program = ChildProcess.StartOurs("Mesh.ControlPlane", arguments);
        Assert.Equal(1, await program.ExitAsync(TimeSpan.FromSeconds(60)));
        Assert.Empty(program.Output);
        return Assert.Single(program.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => !line.Contains(" info: ", StringComparison.Ordinal));
    }
}
