using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>Brings a folder of Kubernetes manifests into the model, and follows its changes.</summary>
/// <remarks>All state is owned by one loop. What cannot be read or is invalid leaves its last good version in force.</remarks>
internal sealed partial class FileSource : IModelSource
{
    private readonly FileSourceOptions _options;
    private readonly string _folder;
    private readonly ModelStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SerialLoop _loop;
    private readonly ModelPublisher _publisher;
    private readonly ITimer _debounce;
    private readonly ManifestOverlay _overlay;

    // Owned by the loop.
    private Dictionary<string, ManifestFile> _files = new(StringComparer.Ordinal);
    private List<FileStamp> _stamps = [];
    private FileSystemWatcher? _watcher;
    private ITimer? _poll;
    private bool _folderUnreadable;

    public FileSource(FileSourceOptions options, IMeshMarks marks, ModelStore store, TimeProvider time, ILogger logger, IHostNameResolver? resolver = null, ManifestOverlay? overlay = null)
    {
        _options = options;
        _overlay = overlay ?? new ManifestOverlay();
        _folder = Path.GetFullPath(options.Folder);
        _store = store;
        _time = time;
        _logger = logger;
        _loop = new SerialLoop(e => Log.StepFailed(_logger, e));
        _debounce = time.CreateTimer(_ => _loop.Post(Rescan), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _publisher = new ModelPublisher(options.TrustDomain, options.ResolveInterval, marks, store, time, logger, resolver ?? new SystemHostNameResolver(), inMotion: false, () => _loop.Post(Publish));
        _overlay.Subscribe(Refresh);
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
                await _publisher.LookUpAsync(InForce);
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
        _publisher.Start();
    }

    /// <summary>Applies the mesh marks again and publishes, soon after it returns.</summary>
    public void Refresh() => _loop.Post(Publish);

    public async ValueTask DisposeAsync()
    {
        _watcher?.Dispose();
        await _debounce.DisposeAsync();
        if (_poll is not null)
        {
            await _poll.DisposeAsync();
        }

        await _publisher.StopAsync();
        await _loop.DisposeAsync();
        await _publisher.DisposeAsync();
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
        _publisher.LookUp();
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
        var before = _store.Current;
        var model = _publisher.Publish(InForce);
        var routes = Routes(model);
        if (before.Services.Count != model.Services.Count || Routes(before) != routes || before.Problems.Length != model.Problems.Length)
        {
            Log.ManifestsRead(_logger, _files.Count, _options.Folder, model.Services.Count, routes, model.Problems.Length);
        }
    }

    /// <summary>The folder's before ours: of two of the same name the operator's counts.</summary>
    private IEnumerable<ManifestFile> InForce => _files.Values.OrderBy(f => f.Path, StringComparer.Ordinal).Concat(_overlay.Files);

    private static int Routes(MeshModel model) => model.Routes.Length + model.ConnectionRoutes.Length;
}
