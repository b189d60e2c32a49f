namespace Shop;

/// <summary>The live table, and what to try next. What dies is started again.</summary>
internal sealed class Screen(TextWriter output, ControlPlane controlPlane, Services services, ShopFolders folders)
{
    private static readonly TimeSpan _refresh = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan _restartAfter = TimeSpan.FromSeconds(5);
    private readonly Dictionary<string, DateTimeOffset> _deaths = [];
    private readonly bool _isTerminal = !Console.IsOutputRedirected;
    private string _news = "";

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        if (!_isTerminal)
        {
            await output.WriteLineAsync(WhatToTry());
        }

        while (true)
        {
            await DrawAsync(cancellationToken);
            await Task.Delay(_refresh, cancellationToken);
            await ReviveAsync(cancellationToken);
        }
    }

    private async Task DrawAsync(CancellationToken cancellationToken)
    {
        string table;
        try
        {
            var pairs = await controlPlane.Api.PairsAsync(window: 10, cancellationToken);
            var traffic = await services.TrafficAsync(cancellationToken);
            table = $"""
                The shop, last 10 s. Customers: {traffic.Requests} pages, {traffic.Failures} failed.

                {PairTable.Render(pairs)}
                """;
        }
        catch (Exception error) when (error is HttpRequestException || (error is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            table = $"No numbers right now: {error.Message}{Environment.NewLine}";
        }

        // Home, and clear what is below: no flicker, unlike clearing first.
        await output.WriteLineAsync(_isTerminal ? $"\e[H\e[J{table}{WhatToTry()}" : table);
        if (_news.Length > 0)
        {
            await output.WriteLineAsync(_news);
        }
    }

    private async Task ReviveAsync(CancellationToken cancellationToken)
    {
        var now = DateTimeOffset.UtcNow;
        try
        {
            if (controlPlane.Child.HasExited && IsDue("control-plane"))
            {
                _news = $"{now:HH:mm:ss} the control plane had ended and is started again";
                await controlPlane.StartAsync(cancellationToken);
            }

            foreach (var replica in Replica.All.Where(replica => services[replica.Name].HasExited && IsDue(replica.Name)).ToList())
            {
                _news = $"{now:HH:mm:ss} {replica.Name} had ended and is started again";
                await services.StartAsync(replica, cancellationToken);
            }
        }
        catch (Exception error) when (error is HttpRequestException or ShopException)
        {
            _news = $"{now:HH:mm:ss} {error.Message}";
        }

        bool IsDue(string name)
        {
            if (_deaths.TryAdd(name, now))
            {
                _news = $"{now:HH:mm:ss} {name} has ended; it comes back in {_restartAfter.TotalSeconds:0} s";
                return false;
            }

            return now - _deaths[name] >= _restartAfter && _deaths.Remove(name);
        }
    }

    private string WhatToTry()
    {
        var mesh = $"dotnet run --project {Path.Combine(folders.Repo, "src", "Mesh.Cli")} --";
        var access = $"--server {controlPlane.Api.Address} --token {controlPlane.Api.Token}";
        return $"""
            Try next (Ctrl-C ends everything):
              open the dashboard   {new Uri(controlPlane.Api.Address, $"/#token={controlPlane.Api.Token}")}
              see a page           curl {services.Storefront}products/1
              numbers per pair     {mesh} stat -n shop {access}
              who calls whom       {mesh} edges -n shop {access}
              is all well?         {mesh} check {access}
              may the cart pay?    {mesh} explain shop/cart payments PUT /authorizations/7 {access}
              shift traffic        edit the weights in {Path.Combine(folders.Mesh, "pricing.yaml")}
              change who may       edit the rules in {Path.Combine(folders.Mesh, "policies.yaml")}
              kill a replica       kill -9 {services["catalog-2"].Pid}
              kill the control plane  kill -9 {controlPlane.Child.Pid}
            """;
    }
}
