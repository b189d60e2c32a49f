using System.Text;

namespace Mesh.ControlPlane.Model;

/// <summary>The control plane's own files (<c>--data</c>). Files are replaced atomically; secrets are readable by the owner only.</summary>
internal sealed class DataFolder : IStateStore, IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly FileStream _lock;

    /// <exception cref="IOException">The folder can't be made, can't be written, or belongs to a running control plane.</exception>
    public DataFolder(string path)
    {
        Path = System.IO.Path.GetFullPath(path);
        Directory.CreateDirectory(Path);
        try
        {
            _lock = new FileStream(File("lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException($"Data folder '{Path}' is in use by another control plane or can't be written ({e.Message}). Stop it, or give this one its own with --data DIR.", e);
        }
    }

    public string Path { get; }

    /// <inheritdoc/>
    public bool IsShared => false;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public bool Exists(string name) => System.IO.File.Exists(File(name));

    public string ReadText(string name) => System.IO.File.ReadAllText(File(name));

    /// <summary>Writes beside the file, flushes to disk, then renames: a reader sees the old or the new, never half.</summary>
    public void Write(string name, ReadOnlySpan<byte> bytes, bool secret)
    {
        var next = File(name + ".new");
        System.IO.File.Delete(next);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (secret && !OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = Private;
        }

        using (var file = new FileStream(next, options))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }

        System.IO.File.Move(next, File(name), overwrite: true);
    }

    public void Write(string name, string text, bool secret) => Write(name, Encoding.UTF8.GetBytes(text), secret);

    /// <inheritdoc/>
    public void Delete(string name) => System.IO.File.Delete(File(name));

    /// <summary>Adds one line to a file that only the owner reads.</summary>
    public void Append(string name, ReadOnlySpan<byte> line)
    {
        var options = new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = Private;
        }

        using var file = new FileStream(File(name), options);
        file.Write([.. line, (byte)'\n']);
    }

    /// <summary>Null when a file can be written; else why not.</summary>
    public string? WriteProblem()
    {
        try
        {
            Write("probe", "ok", secret: false);
            System.IO.File.Delete(File("probe"));
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    public void Dispose() => _lock.Dispose();
}
