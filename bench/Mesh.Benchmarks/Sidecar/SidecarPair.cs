using System.Diagnostics;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>A caller's host and an app's host with a proxy each (or none), and the address that the caller calls.</summary>
internal abstract class SidecarPair(string name, LabHost caller, LabHost callee)
{
    /// <summary>The Service's address: it exists only in the redirection.</summary>
    public const string ServiceAddress = "10.96.0.10";

    private long _launched;

    public string Name => name;

    public LabHost Caller => caller;

    public LabHost Callee => callee;

    public virtual string Target => ServiceAddress;

    public LabProcess? Outbound { get; protected set; }

    public LabProcess? Inbound { get; protected set; }

    public LabProcess? App { get; private set; }

    public static async Task<SidecarPair> CreateAsync(string name, Lab lab, SidecarFiles files)
    {
        var caller = await lab.AddAsync($"{name}-c");
        var callee = await lab.AddAsync($"{name}-s");
        return name switch
        {
            "direct" => new DirectPair(caller, callee),
            "haproxy-h1" => new HaproxyPair(name, caller, callee, files, "http/1.1"),
            "haproxy-h2" => new HaproxyPair(name, caller, callee, files, "h2"),
            "nginx" => new NginxPair(caller, callee, files),
            _ => new MeshPair(caller, callee, await MeshPlane.StartAsync(lab.Hub, callee, files)),
        };
    }

    public async Task StartAsync()
    {
        App = Callee.Start(1000, null, Environment.ProcessPath!, "sidecar-app");
        await App.SaysAsync("serving", TimeSpan.FromSeconds(60));
        await RedirectAsync();
        Inbound = await StartInboundAsync();
        Outbound = await StartOutboundAsync();
        try
        {
            await Caller.RunAsync(TimeSpan.FromSeconds(60), Environment.ProcessPath!, "sidecar-load", "check", Target);
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidOperationException($"{Name} does not answer rightly. Outbound: {Outbound?.Output}\nInbound: {Inbound?.Output}", e);
        }
    }

    /// <returns>From exec until it serves.</returns>
    public async Task<TimeSpan> RestartOutboundAsync()
    {
        await Outbound!.StopAsync();
        Outbound = await StartOutboundAsync();
        return Stopwatch.GetElapsedTime(_launched);
    }

    protected LabProcess Launch(LabHost host, IReadOnlyDictionary<string, string>? environment, params string[] command)
    {
        _launched = Stopwatch.GetTimestamp();
        return host.Start(LabHost.ProxyUser, environment, command);
    }

    protected abstract Task RedirectAsync();

    protected abstract Task<LabProcess?> StartInboundAsync();

    protected abstract Task<LabProcess?> StartOutboundAsync();

    /// <summary>Until something listens there; a namespace's listeners are read from outside, so that nobody has to connect.</summary>
    protected static async Task ListensAsync(LabProcess process, int port)
    {
        var hex = $":{port:X4} ";
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!File.ReadLines($"/proc/{process.Id}/net/tcp").Any(l => l.Contains(hex, StringComparison.Ordinal) && l.Contains(" 0A ", StringComparison.Ordinal)))
        {
            if (limit.IsCancellationRequested)
            {
                throw new InvalidOperationException($"Nothing listens on port {port}. {process.Output}");
            }

            await Task.Delay(1, CancellationToken.None);
        }
    }
}

/// <summary>No proxies: the app's own address.</summary>
internal sealed class DirectPair(LabHost caller, LabHost callee) : SidecarPair("direct", caller, callee)
{
    public override string Target => Callee.Address.ToString();

    protected override Task RedirectAsync() => Task.CompletedTask;

    protected override Task<LabProcess?> StartInboundAsync() => Task.FromResult<LabProcess?>(null);

    protected override Task<LabProcess?> StartOutboundAsync() => Task.FromResult<LabProcess?>(null);
}

/// <summary>Two HAProxy processes, mutual TLS 1.3 between them; HTTP/1 or HTTP/2 on that hop for HTTP/1 callers, HTTP/2 for gRPC.</summary>
internal sealed class HaproxyPair(string name, LabHost caller, LabHost callee, SidecarFiles files, string alpn) : SidecarPair(name, caller, callee)
{
    private const string Head = """
        global
          maxconn 8000
          nbthread 1
          ssl-default-bind-options ssl-min-ver TLSv1.3
          ssl-default-server-options ssl-min-ver TLSv1.3
        defaults
          mode http
          timeout connect 5s
          timeout client 60s
          timeout server 60s
          http-reuse always
          option http-keep-alive

        """;

    protected override async Task RedirectAsync()
    {
        await Caller.RedirectAsync("OUTPUT", [(BenchApp.HttpPort, 4140), (BenchApp.GrpcPort, 4141), (BenchApp.TcpPort, 4142)]);
        await Callee.RedirectAsync("PREROUTING", [(BenchApp.HttpPort, 4143), (BenchApp.GrpcPort, 4144), (BenchApp.TcpPort, 4145)]);
    }

    protected override Task<LabProcess?> StartInboundAsync() => StartAsync(Callee, "inbound", 4143, $"""
        {Head}
        {Hop("http", "0.0.0.0:4143", $" {Server} alpn h2,http/1.1", $"127.0.0.1:{BenchApp.HttpPort}", "")}
        {Hop("grpc", "0.0.0.0:4144", $" {Server} alpn h2", $"127.0.0.1:{BenchApp.GrpcPort}", " proto h2")}
        {Hop("tcp", "0.0.0.0:4145", $" {Server}", $"127.0.0.1:{BenchApp.TcpPort}", "")}
        """);

    protected override Task<LabProcess?> StartOutboundAsync() => StartAsync(Caller, "outbound", 4140, $"""
        {Head}
        {Hop("http", "127.0.0.1:4140", "", $"{Callee.Address}:{BenchApp.HttpPort}", $" {Client} alpn {alpn}")}
        {Hop("grpc", "127.0.0.1:4141", " proto h2", $"{Callee.Address}:{BenchApp.GrpcPort}", $" {Client} alpn h2")}
        {Hop("tcp", "127.0.0.1:4142", "", $"{Callee.Address}:{BenchApp.TcpPort}", $" {Client}")}
        """);

    private string Server => $"ssl crt {files.Server}.pem ca-file {files.Root} verify required";

    private string Client => $"ssl crt {files.Client}.pem ca-file {files.Root} verify required verifyhost {SidecarFiles.ServerName} sni str({SidecarFiles.ServerName}) pool-max-conn 512";

    private static string Hop(string mode, string bind, string bindOptions, string server, string serverOptions) => $"""
        frontend {mode}
          mode {(mode == "tcp" ? "tcp" : "http")}
          bind {bind}{bindOptions}
          default_backend {mode}
        backend {mode}
          mode {(mode == "tcp" ? "tcp" : "http")}
          server app {server}{serverOptions}
        """;

    private async Task<LabProcess?> StartAsync(LabHost host, string side, int port, string configuration)
    {
        var process = Launch(host, null, "haproxy", "-db", "-f", files.Write($"{Name}-{side}.cfg", configuration + "\n"));
        await ListensAsync(process, port);
        return process;
    }
}

/// <summary>Two nginx processes with one worker each, mutual TLS 1.3 between them; to a server nginx 1.22 speaks HTTP/1, and HTTP/2 for gRPC alone.</summary>
internal sealed class NginxPair(LabHost caller, LabHost callee, SidecarFiles files) : SidecarPair("nginx", caller, callee)
{
    protected override async Task RedirectAsync()
    {
        await Caller.RedirectAsync("OUTPUT", [(BenchApp.HttpPort, 4140), (BenchApp.GrpcPort, 4141)]);
        await Callee.RedirectAsync("PREROUTING", [(BenchApp.HttpPort, 4143), (BenchApp.GrpcPort, 4144)]);
    }

    protected override Task<LabProcess?> StartInboundAsync() => StartAsync(Callee, "inbound", 4143, $$"""
        upstream http { server 127.0.0.1:{{BenchApp.HttpPort}}; keepalive 512; keepalive_requests 100000000; }
        upstream grpc { server 127.0.0.1:{{BenchApp.GrpcPort}}; keepalive 512; keepalive_requests 100000000; }
        ssl_certificate {{files.Server}}.crt; ssl_certificate_key {{files.Server}}.key; ssl_client_certificate {{files.Root}}; ssl_verify_client on; ssl_protocols TLSv1.3;
        server { listen 0.0.0.0:4143 ssl; location / { proxy_pass http://http; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }
        server { listen 0.0.0.0:4144 ssl http2; location / { grpc_pass grpc://grpc; } }
        """);

    protected override Task<LabProcess?> StartOutboundAsync() => StartAsync(Caller, "outbound", 4140, $$"""
        upstream http { server {{Callee.Address}}:{{BenchApp.HttpPort}}; keepalive 512; keepalive_requests 100000000; }
        upstream grpc { server {{Callee.Address}}:{{BenchApp.GrpcPort}}; keepalive 512; keepalive_requests 100000000; }
        server { listen 127.0.0.1:4140; location / { proxy_pass https://http; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; {{Tls("proxy")}} } }
        server { listen 127.0.0.1:4141 http2; location / { grpc_pass grpcs://grpc; {{Tls("grpc")}} } }
        """);

    private string Tls(string module) =>
        $"{module}_ssl_certificate {files.Client}.crt; {module}_ssl_certificate_key {files.Client}.key; {module}_ssl_trusted_certificate {files.Root}; {module}_ssl_verify on; "
        + $"{module}_ssl_name {SidecarFiles.ServerName}; {module}_ssl_server_name on; {module}_ssl_protocols TLSv1.3;";

    private async Task<LabProcess?> StartAsync(LabHost host, string side, int port, string servers)
    {
        var folder = files.Folder($"nginx-{side}");
        var path = files.Write($"nginx-{side}.conf", $$"""
            worker_processes 1; daemon off; pid {{folder}}/pid; error_log {{folder}}/error.log warn;
            events { worker_connections 8000; }
            http {
              access_log off; keepalive_requests 100000000; keepalive_timeout 120s; http2_max_concurrent_streams 1000;
              client_body_temp_path {{folder}}/1; proxy_temp_path {{folder}}/2; fastcgi_temp_path {{folder}}/3; uwsgi_temp_path {{folder}}/4; scgi_temp_path {{folder}}/5;
              {{servers}}
            }
            """);
        var process = Launch(host, null, "nginx", "-e", $"{folder}/error.log", "-p", folder, "-c", path);
        await ListensAsync(process, port);
        return process;
    }
}
