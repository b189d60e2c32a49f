using System.Net.Sockets;
using System.Runtime.Versioning;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Cli.Agent;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Protos.SpiffeWorkload;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Cli.Tests;

/// <summary>The agent as a SPIFFE Workload API: our own client against it, and callers that it must refuse.</summary>
[SupportedOSPlatform("linux")]
public sealed class WorkloadApiTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mesh-wapi-");
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);
    private readonly StringWriter _error = new();
    private readonly FixedIdentitySource _identity;

    public WorkloadApiTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The agent serves the Workload API on Linux only.");
        _identity = new FixedIdentitySource(_ca.Identity("shop", "cart"));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Socket => Path.Combine(_folder.FullName, "api.sock");

    public void Dispose()
    {
        _ca.Dispose();
        _folder.Delete(recursive: true);
        _error.Dispose();
    }

    [Fact]
    public async Task OurClient_GetsTheIdentityAndEachRotationAtOnce()
    {
        await using var server = await StartAsync();
        await using var source = new WorkloadApiSvidSource(Address(), SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), TimeProvider.System, new Random(1));
        await using var rotator = new SvidRotator(source, TimeProvider.System, new Random(1), NullLogger<SvidRotator>.Instance);
        rotator.Start(new SnapshotStore());
        var first = await rotator.GetAsync(Token);
        Assert.Equal(_identity.Current.Svid.Leaf.Thumbprint, first.Svid.Leaf.Thumbprint);
        Assert.Equal(_ca.Issuer!.Thumbprint, Assert.Single(first.Svid.Intermediates).Thumbprint);

        var second = _ca.Identity("shop", "cart", generation: 2);
        _identity.Replace(second);
        await Eventually.Async(() => rotator.Current!.Svid.Leaf.Thumbprint == second.Svid.Leaf.Thumbprint, "the new certificate arrives");
        using var next = new TestCa("cluster.local");
        _identity.Replace(second.With(second.Bundle with { Roots = [_ca.Root, next.Root] }));
        await Eventually.Async(() => rotator.Current!.Bundle.HasRoot(next.Root.Thumbprint), "the new root arrives");
    }

    [Fact]
    public async Task Bundles_Stream_TellsEachChangeByTrustDomain()
    {
        await using var server = await StartAsync();
        using var channel = Channel();
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509Bundles(new X509BundlesRequest(), Header("true"), cancellationToken: Token);
        Assert.True(await call.ResponseStream.MoveNext(Token));
        Assert.Equal(_ca.Root.RawData, call.ResponseStream.Current.Bundles["spiffe://cluster.local"].ToByteArray());
        using var next = new TestCa("cluster.local");

        _identity.Replace(_identity.Current.With(next.Bundle));

        Assert.True(await call.ResponseStream.MoveNext(Token));
        Assert.Equal(next.Root.RawData, call.ResponseStream.Current.Bundles["spiffe://cluster.local"].ToByteArray());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("false")]
    [InlineData("TRUE")]
    public async Task SecurityHeader_MissingOrOther_IsRefused(string? value)
    {
        await using var server = await StartAsync();
        using var channel = Channel();
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);

        using var svid = client.FetchX509SVID(new X509SVIDRequest(), Header(value), cancellationToken: Token);
        using var bundles = client.FetchX509Bundles(new X509BundlesRequest(), Header(value), cancellationToken: Token);

        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => svid.ResponseStream.MoveNext(Token))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => bundles.ResponseStream.MoveNext(Token))).StatusCode);
    }

    [Fact]
    public async Task JwtMethods_AreNotOfferedAndSaySo()
    {
        await using var server = await StartAsync();
        using var channel = Channel();
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);

        var svid = await Assert.ThrowsAsync<RpcException>(async () => await client.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, Header("true"), cancellationToken: Token));
        var validate = await Assert.ThrowsAsync<RpcException>(async () => await client.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest(), Header("true"), cancellationToken: Token));
        using var bundles = client.FetchJWTBundles(new JWTBundlesRequest(), Header("true"), cancellationToken: Token);
        var stream = await Assert.ThrowsAsync<RpcException>(() => bundles.ResponseStream.MoveNext(Token));

        Assert.All([svid, validate, stream], e => Assert.Equal(StatusCode.Unimplemented, e.StatusCode));
        Assert.Contains("X.509-SVIDs only", svid.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Socket_IsTheOwnersAlone_WithOtherUsersItsGroupsToo()
    {
        await using (await StartAsync())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Socket));
        }

        Assert.False(File.Exists(Socket));
        await using (await StartAsync(4242))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(Socket));
        }
    }

    [Fact]
    public async Task Socket_OtherUser_IsRefusedUnlessAllowed()
    {
        Assert.SkipUnless(Environment.UserName == "root", "Only root can take another user's place.");
        // /tmp folders are 0700: another user must get as far as the socket.
        File.SetUnixFileMode(_folder.FullName, (UnixFileMode)0b111_101_101);
        await using (await StartAsync())
        {
            File.SetUnixFileMode(Socket, (UnixFileMode)0b110_110_110);
            Assert.Equal(0, await ReceivedAsAsync(65534));
            Assert.Contains("user 65534 asked for the identity", _error.ToString(), StringComparison.Ordinal);
        }

        await using (await StartAsync(65534))
        {
            File.SetUnixFileMode(Socket, (UnixFileMode)0b110_110_110);
            Assert.True(await ReceivedAsAsync(65534) > 0);
        }
    }

    [Fact]
    public async Task Socket_LeftByADeadAgent_IsTakenOver()
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(Socket));
            File.Move(Socket, Socket + "x");
        }

        File.Move(Socket + "x", Socket);
        await using var server = await StartAsync();

        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", await IdAsync());
    }

    [Fact]
    public async Task Socket_TakenOrNoSocket_IsLeftAlone()
    {
        await using (await StartAsync())
        {
            Assert.Contains("another process serves it", (await Assert.ThrowsAsync<CliException>(() => StartAsync())).Why, StringComparison.Ordinal);
            Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", await IdAsync());
        }

        await File.WriteAllTextAsync(Socket, "a file", Token);
        await Assert.ThrowsAsync<CliException>(() => StartAsync());
        Assert.Equal("a file", await File.ReadAllTextAsync(Socket, Token));
    }

    [Theory]
    [InlineData("--once --socket s", "--once ends the agent")]
    [InlineData("--out o --allow-uid 1", "--allow-uid is about --socket")]
    [InlineData("", "Give --out, --socket or both")]
    [InlineData("--socket s --allow-uid nobody", "nobody")]
    public async Task Command_OptionsThatDoNotGoTogether_AreNamed(string options, string expected)
    {
        var run = await CliRun.RunAsync([], ["identity", "agent", "--service-account", "cart", "--control-plane", "https://127.0.0.1:1", "--trust-bundle", "x", "--token", "t",
            .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.Equal(64, run.ExitCode);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    private static Metadata Header(string? value) => value is null ? [] : new Metadata { { "workload.spiffe.io", value } };

    private WorkloadApiAddress Address() => WorkloadApiAddress.TryParse($"unix://{Socket}", out var address, out var problem) ? address : throw new InvalidOperationException(problem);

    private GrpcChannel Channel() => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = Address().CreateHandler(), DisposeHttpClient = true });

    private async Task<string> IdAsync()
    {
        using var channel = Channel();
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), Header("true"), cancellationToken: Token);
        await call.ResponseStream.MoveNext(Token);
        return call.ResponseStream.Current.Svids[0].SpiffeId;
    }

    private Task<WorkloadApiServer> StartAsync(params uint[] users) => WorkloadApiServer.StartAsync(
        Socket, users, _identity, new CliContext(TextWriter.Null, _error, _ => null, TimeProvider.System, (_, _) => throw new InvalidOperationException()), Token);

    /// <summary>How many bytes another user's process is answered to an HTTP/2 preface.</summary>
    private async Task<int> ReceivedAsAsync(int uid)
    {
        const string script = "import os,socket,sys\nos.setgid(int(sys.argv[1]));os.setuid(int(sys.argv[1]))\ns=socket.socket(socket.AF_UNIX);s.settimeout(20);s.connect(sys.argv[2])\n"
            + "try:\n s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n print(len(s.recv(100)))\nexcept OSError:\n print(0)\n";
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("python3", ["-c", script, $"{uid}", Socket]) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return int.Parse(output, System.Globalization.CultureInfo.InvariantCulture);
    }
}
