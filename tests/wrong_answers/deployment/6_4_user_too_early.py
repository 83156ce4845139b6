"""The user that runs the app installs the packages as well, and may not."""

REFUSED_WITH = "holds for every RUN after it"


def dockerfile():
    return """
FROM python:3.13-slim
WORKDIR /srv
RUN useradd --system --uid 10001 app
USER 10001
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app ./app
HEALTHCHECK --interval=10s --timeout=5s \\
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/live', timeout=3)"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
