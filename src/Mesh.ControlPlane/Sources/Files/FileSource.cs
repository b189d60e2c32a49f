using System.Collections.Immutable;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>Brings a folder of Kubernetes manifests into the model, and follows its changes.</summary>
/// <remarks>All state is owned by one loop. What cannot be read or is invalid leaves its last good version in force.</remarks>
internal sealed partial class FileSource : IModelSource
{
    /// <summary>A name server that hangs must not hold back what else is in the folder.</summary>
    private static readonly TimeSpan LookUpTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Timers take no longer time; one that comes too early only publishes the same again.</summary>
    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);

    private readonly FileSourceOptions _options;
    private readonly string _folder;
    private readonly IMeshMarks _marks;
    private readonly ModelStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IHostNameResolver _resolver;
    private readonly SerialLoop _loop;
    private readonly CancellationTokenSource _stopping = new();
    private readonly HostNameTable _hostNames = new();
    private readonly ITimer _debounce;
    private readonly ITimer _expiry;

    // Owned by the loop.
    private Dictionary<string, ManifestFile> _files = new(StringComparer.Ordinal);
    private List<FileStamp> _stamps = [];
    private HashSet<SourceProblem> _logged = [];
    private HashSet<(string Policy, string Where, string What)> _unheld = [];
    private FileSystemWatcher? _watcher;
    private ITimer? _poll;
    private ITimer? _resolve;
    private Task _lookUp = Task.CompletedTask;
    private bool _folderUnreadable;

    public FileSource(FileSourceOptions options, IMeshMarks marks, ModelStore store, TimeProvider time, ILogger logger, IHostNameResolver? resolver = null)
    {
        _options = options;
        _folder = Path.GetFullPath(options.Folder);
        _marks = marks;
        _store = store;
        _time = time;
        _logger = logger;
        _resolver = resolver ?? new SystemHostNameResolver();
        _loop = new SerialLoop(e => Log.StepFailed(_logger, e));
        _debounce = time.CreateTimer(_ => _loop.Post(Rescan), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _expiry = time.CreateTimer(_ => _loop.Post(Publish), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Reads the folder and publishes the first model before it returns; then follows changes.</summary>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!Directory.Exists(_folder))
        {
            throw new DirectoryNotFoundException(File.Exists(_folder)
                ? $"The configuration folder '{_options.Folder}' is a file. Name the folder that holds the manifests (*.yaml)."
                : $"The configuration folder '{_options.Folder}' does not exist. Create it and put manifests (*.yaml) into it, or name another one.");
        }

        // The watcher first: what changes while we read is then seen.
        StartWatcher();
        var loaded = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _loop.Post(async () =>
        {
            try
            {
                Read(FolderScanner.Scan(_folder));
                if (WantedHostNames() is { Count: > 0 } names)
                {
                    _hostNames.Apply(await LookUpAsync(names), names);
                }

                Publish();
                loaded.SetResult();
            }
            catch (Exception e)
            {
                loaded.SetException(e);
            }
        });
        await loaded.Task.WaitAsync(cancellationToken);
        _poll = _time.CreateTimer(_ => _loop.Post(LookForChanges), null, _options.PollInterval, _options.PollInterval);
        _resolve = _time.CreateTimer(_ => _loop.Post(StartLookUp), null, _options.ResolveInterval, _options.ResolveInterval);
    }

    /// <summary>Applies the mesh marks again and publishes, soon after it returns.</summary>
    public void Refresh() => _loop.Post(Publish);

    public async ValueTask DisposeAsync()
    {
        _watcher?.Dispose();
        await _debounce.DisposeAsync();
        await _expiry.DisposeAsync();
        if (_poll is not null)
        {
            await _poll.DisposeAsync();
        }

        if (_resolve is not null)
        {
            await _resolve.DisposeAsync();
        }

        await _stopping.CancelAsync();
        await _loop.DisposeAsync();
        await _lookUp;
        _stopping.Dispose();
    }

    private void StartWatcher()
    {
        try
        {
            _watcher = new FileSystemWatcher(_folder) { IncludeSubdirectories = true };
            _watcher.Changed += (_, _) => ReadSoon();
            _watcher.Created += (_, _) => ReadSoon();
            _watcher.Deleted += (_, _) => ReadSoon();
            _watcher.Renamed += (_, _) => ReadSoon();
            _watcher.Error += (_, e) =>
            {
                Log.WatcherLost(_logger, e.GetException(), _folder, _options.PollInterval);
                ReadSoon();
            };
            _watcher.EnableRaisingEvents = true;
        }
        catch (IOException e)
        {
            // Out of inotify watches: polling is enough.
            Log.WatcherLost(_logger, e, _folder, _options.PollInterval);
        }
    }

    /// <summary>Starts the quiet time over.</summary>
    private void ReadSoon()
    {
        try
        {
            _debounce.Change(_options.Debounce, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // An event of the watcher that was on its way when we stopped.
        }
    }

    private void LookForChanges()
    {
        if (TryScan() is { } stamps && !stamps.SequenceEqual(_stamps))
        {
            ReadSoon();
        }
    }

    private void Rescan()
    {
        if (TryScan() is not { } stamps || stamps.SequenceEqual(_stamps))
        {
            return;
        }

        Read(stamps);
        Publish();
        StartLookUp();
    }

    private List<FileStamp>? TryScan()
    {
        try
        {
            var stamps = FolderScanner.Scan(_folder);
            _folderUnreadable = false;
            return stamps;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!_folderUnreadable)
            {
                Log.FolderUnreadable(_logger, e, _folder);
            }

            _folderUnreadable = true;
            return null;
        }
    }

    private void Read(List<FileStamp> stamps)
    {
        var unchanged = _stamps.ToHashSet();
        var files = new Dictionary<string, ManifestFile>(StringComparer.Ordinal);
        var seen = new List<FileStamp>(stamps.Count);
        foreach (var stamp in stamps)
        {
            var before = _files.GetValueOrDefault(stamp.Path);
            if (before is not null && unchanged.Contains(stamp))
            {
                files[stamp.Path] = before;
                seen.Add(stamp);
                continue;
            }

            var (file, final) = ReadFile(stamp, before);
            files[stamp.Path] = file;
            // A size that no file has: the next look tries again.
            seen.Add(final ? stamp : stamp with { Size = -1 });
        }

        (_files, _stamps) = (files, seen);
    }

    /// <returns>The file, and whether it need not be looked at again while its stamp stays.</returns>
    private (ManifestFile File, bool Final) ReadFile(FileStamp stamp, ManifestFile? before)
    {
        if (stamp.Size > FolderScanner.MaxFileBytes)
        {
            var tooLarge = new SourceProblem($"{stamp.Path}:1", $"The file has {stamp.Size:N0} bytes. Split it: at most {FolderScanner.MaxFileBytes:N0} are read.");
            return (ManifestFile.Unread(stamp.Path, tooLarge, before), true);
        }

        try
        {
            return (ManifestFile.Read(stamp.Path, File.ReadAllText(Path.Combine(_folder, stamp.Path)), before), true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var unreadable = new SourceProblem($"{stamp.Path}:1", $"The file cannot be read: {e.Message} Make it readable for this process.");
            return (ManifestFile.Unread(stamp.Path, unreadable, before), false);
        }
    }

    private void Publish()
    {
        var files = _files.Values.OrderBy(f => f.Path, StringComparer.Ordinal).ToArray();
        var now = _time.GetUtcNow();
        var model = ModelAssembler.Assemble(files, _options.TrustDomain, _marks, _hostNames.AddressesOf, now);
        PublishAtNextExpiry(model, now);
        model = model with { Problems = [.. model.Problems, .. HostNameProblems()] };
        var before = _store.Current;
        _store.Publish(model);
        foreach (var problem in model.Problems.Where(p => !_logged.Contains(p)))
        {
            Log.ManifestProblem(_logger, problem.Where, problem.What);
        }

        var unheld = UnheldPolicies.Find(model);
        foreach (var (policy, where, what) in unheld.Except(_unheld))
        {
            Log.AuthorizationNotHeld(_logger, policy, where, what);
        }

        (_logged, _unheld) = ([.. model.Problems], unheld);
        var routes = Routes(model);
        if (before.Services.Count != model.Services.Count || Routes(before) != routes || before.Problems.Length != model.Problems.Length)
        {
            Log.ManifestsRead(_logger, files.Length, _options.Folder, model.Services.Count, routes, model.Problems.Length);
        }
    }

    private static int Routes(MeshModel model) => model.Routes.Length + model.ConnectionRoutes.Length;

    /// <summary>A policy that ends is taken from those too who cannot tell by themselves.</summary>
    private void PublishAtNextExpiry(MeshModel model, DateTimeOffset now)
    {
        var next = model.Policies.Select(p => p.ExpiresAt).Where(end => end > now).Min();
        var wait = next is not { } end ? Timeout.InfiniteTimeSpan : end - now < LongestTimer ? end - now + TimeSpan.FromMilliseconds(1) : LongestTimer;
        try
        {
            _expiry.Change(wait, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // Stopping, with a publication still in the loop.
        }
    }

    private IEnumerable<(EndpointSliceManifest Slice, string Name)> HostNames() => _files.Values.OrderBy(f => f.Path, StringComparer.Ordinal)
        .SelectMany(f => f.Objects).OfType<EndpointSliceManifest>().Where(s => s.Fqdn)
        .SelectMany(s => s.Endpoints.SelectMany(e => e.Addresses).Select(a => (s, a)));

    private HashSet<string> WantedHostNames() => HostNames().Select(h => h.Name).ToHashSet(StringComparer.Ordinal);

    private IEnumerable<SourceProblem> HostNameProblems() => HostNames().Where(h => _hostNames.FailureOf(h.Name) is not null).Select(h => new SourceProblem(
        h.Slice.Where, $"{h.Slice.Key}: host name '{h.Name}' cannot be resolved ({_hostNames.FailureOf(h.Name)}). "
            + (_hostNames.AddressesOf(h.Name).IsEmpty ? "It gives no endpoint until then." : "Its last known addresses stay in force.")
            + " Correct the name or its DNS entry."));

    /// <summary>Looks names up beside the loop: at most one look-up of all of them runs.</summary>
    private void StartLookUp()
    {
        var names = WantedHostNames();
        if (names.Count == 0 || !_lookUp.IsCompleted || _stopping.IsCancellationRequested)
        {
            return;
        }

        using (ExecutionContext.SuppressFlow())
        {
            _lookUp = Task.Run(async () =>
            {
                var answers = await LookUpAsync(names);
                _loop.Post(() =>
                {
                    if (_hostNames.Apply(answers, WantedHostNames()))
                    {
                        Publish();
                    }
                });
            });
        }
    }

    private async Task<HostNameAnswer[]> LookUpAsync(IReadOnlySet<string> names)
    {
        using var timeout = new CancellationTokenSource(LookUpTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stopping.Token);
        return await HostNameTable.LookUpAsync(_resolver, names, both.Token);
    }
}
